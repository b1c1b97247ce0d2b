"""The colours that MLflow gives to groups of runs, and groups whose colours can be told apart.

MLflow computes a group's colour from the names and values of its parameters, so that six groups may get nearly the same
red. Nothing but the list of grouping parameters can change it: their order, and further ones with a single value. The
computation is that of MLflow 3.17.2 (`getStableColorForRun`); the browser test of the saved views checks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, permutations

PALETTE = [
    "a6630c",
    "c83243",
    "b45091",
    "8a63bf",
    "434a93",
    "137dae",
    "04867d",
    "308613",
    "facb66",
    "1f272d",
    "445461",
    "5f7281",
    "8396a5",
    "93320b",
    "be501e",
    "de7921",
    "f2be88",
    "115026",
    "277c43",
    "3ba65e",
    "8ddda8",
    "9e102c",
    "c82d4c",
    "e65b77",
    "f792a6",
    "0e538b",
    "2272b4",
    "4299e0",
    "8acaff",
]  # MLflow's colours of runs
APART = 60.0  # distance in RGB from which two colours of lines can be told apart
MOST = 200  # lists of parameters that are tried

Parameters = Mapping[str, str]


def group_id(by: Sequence[str], parameters: Parameters) -> str:
    """MLflow's id of the group of a run with these parameters."""
    return ",".join(f"param.{name}.{parameters.get(name)}" for name in by)


def colour(group: str) -> str:
    """MLflow's colour of a group, as RRGGBB."""
    first = second = 0
    for character in group:
        first = (first + ord(character)) % 255
        second = (second + first) % 255
    return PALETTE[(first | second << 8) % len(PALETTE)]


def told_apart(by: Sequence[str], parameters: Sequence[Parameters]) -> tuple[str, ...]:
    """The grouping parameters `by`, reordered or with another one that all runs share, so that colours differ most.

    The list stays short: parameters are only reordered or added where two colours would be alike.
    """
    best, largest = tuple(by), -1.0
    if len({group_id(by, each) for each in parameters}) > len(PALETTE):
        return best
    for candidate in islice(_candidates(by, parameters), MOST):
        ids = {group_id(candidate, each) for each in parameters}
        least = min((_distance(colour(a), colour(b)) for a, b in combinations(sorted(ids), 2)), default=APART)
        if least > largest:
            best, largest = candidate, least
        if least >= APART:
            break
    return best


def _candidates(by: Sequence[str], parameters: Sequence[Parameters]) -> Iterator[tuple[str, ...]]:
    shared = [
        name
        for name in dict.fromkeys(name for each in parameters for name in each)
        if name not in by and len({each.get(name) for each in parameters}) == 1
    ]
    yield from permutations(by)
    for name in sorted(shared, key=len):  # short names of groups
        yield from permutations((*by, name))


def _distance(a: str, b: str) -> float:
    channels = ((int(a[at : at + 2], 16), int(b[at : at + 2], 16)) for at in (0, 2, 4))
    return float(sum((one - other) ** 2 for one, other in channels) ** 0.5)
