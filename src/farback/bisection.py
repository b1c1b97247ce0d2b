"""Lags by bisection: of each network and seed, only the lags between one that passes and one that fails are trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from farback import tables
from farback.trial import Trial

Chain = Sequence[Trial]  # trials that differ in the lag alone, by rising lag


def outcomes(frame: pd.DataFrame) -> dict[str, bool]:
    """Whether each trained trial passes at its own lag, by key, as every table of horizons judges it."""
    if frame.empty:
        return {}
    tested = tables.tested(frame, ("label",))
    own = tested[tested["lag"] == tested["trained_lag"]]
    return dict(zip(own["key"], own["passed"].map(bool), strict=True))


def path(chain: Chain, passed: Mapping[str, bool]) -> tuple[list[Trial], Trial | None]:
    """The trials that bisection looked at so far, and the one that it needs next; None where the horizon is known.

    Args:
        chain: the trials to pick from.
        passed: what is known, by key. What bisection would not have looked at is not looked at.
    """
    looked: list[Trial] = []
    low, high = -1, len(chain)  # indices: passes at `low` and fails at `high`, the ends standing for beyond
    while high - low > 1:
        middle = chain[(low + high) // 2]
        if middle.key not in passed:
            return looked, middle
        looked.append(middle)
        low, high = ((low + high) // 2, high) if passed[middle.key] else (low, (low + high) // 2)
    return looked, None


def wanted(chains: Iterable[Chain], passed: Mapping[str, bool]) -> list[Trial]:
    """What bisection has looked at of every chain, and looks at next."""
    found = [path(chain, passed) for chain in chains]
    return [trial for looked, due in found for trial in [*looked, *([due] if due else [])]]


def most(chains: Iterable[Chain]) -> int:
    """How many trainings bisection may take at most."""
    return sum(len(chain).bit_length() for chain in chains)
