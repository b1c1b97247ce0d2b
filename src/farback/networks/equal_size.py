"""Networks of equal size: the number of hidden units that a budget of parameters, state or arithmetic allows."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from farback.networks.network import Architecture
from farback.records.record import Record

LARGEST_HIDDEN = 8192  # largest hidden size of a layer, a guard against typing errors

Kind = Literal["parameters", "state", "flops"]
Budget = Annotated[int, Field(ge=1, le=10**15)]
UNITS = {"parameters": "parameters", "state": "numbers of state", "flops": "FLOPs per step"}


class MatchError(ValueError):
    """No hidden size fits the budget, or a given hidden size contradicts it."""


class SizeMatch(Record):
    """Choose the largest `hidden` within a budget of parameters, state or FLOPs per step.

    `{parameters: 5000}` counts everything that is trained (encoder, cells, learned initial states, readout),
    `{state: 64}` the numbers carried from step to step in all layers, `{flops: 20000}` the multiplications and
    additions of one step of one sequence.
    """

    parameters: Budget | None = None
    state: Budget | None = None
    flops: Budget | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_mapping(cls, values: Any) -> Any:
        if isinstance(values, str):
            raise ValueError(f"match needs a budget, such as {{parameters: 5000}} or {{state: 64}}, got {values!r}")
        return values

    @model_validator(mode="after")
    def _check_one_kind(self) -> Self:
        given = [name for name in UNITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"match takes one of {', '.join(UNITS)}, got {' and '.join(given) or 'none of them'}")
        return self

    @property
    def kind(self) -> Kind:
        """The quantity that is limited."""
        return cast(Kind, next(name for name in UNITS if getattr(self, name) is not None))

    @property
    def budget(self) -> int:
        """The largest allowed count."""
        return int(getattr(self, self.kind))

    def hidden(self, architecture: Architecture) -> int:
        """The largest hidden size within the budget; the architecture's own hidden size has no effect.

        Raises:
            MatchError: every possible hidden size exceeds the budget, or none does.
        """
        return largest_hidden(replace(architecture, hidden=1), self.kind, self.budget)

    def __str__(self) -> str:
        return f"{self.kind} {self.budget}"


@lru_cache(maxsize=4096)  # a sweep needs the same result for every seed and learning rate
def largest_hidden(architecture: Architecture, kind: Kind, budget: int) -> int:
    """The largest hidden size that the cell supports and whose count does not exceed the budget.

    Counts increase with the hidden size, so bisection finds it; if the cell supports only some sizes (`Cell.check`),
    the next smaller one is used.

    Raises:
        MatchError: see `SizeMatch.hidden`.
    """

    def count(hidden: int) -> int:
        return replace(architecture, hidden=hidden).count(kind)

    sizes = range(1, LARGEST_HIDDEN + 1)
    smallest = next((hidden for hidden in sizes if not _problem(architecture, hidden)), None)
    if smallest is None:
        raise MatchError(f"no hidden size up to {LARGEST_HIDDEN} suits this network: {_problem(architecture, 1)}")
    label = architecture.cell.label()
    if count(smallest) > budget:
        detail = f"the smallest such network of {label} (hidden {smallest}) has {count(smallest)}"
        raise MatchError(f"a budget of {budget} {UNITS[kind]} is too small: {detail}")
    if count(LARGEST_HIDDEN) <= budget:
        detail = f"{label} with the largest allowed hidden size, {LARGEST_HIDDEN}, has {count(LARGEST_HIDDEN)}"
        raise MatchError(f"a budget of {budget} {UNITS[kind]} is too large: {detail}")
    hidden = bisect_right(sizes, budget, lo=smallest, key=count)  # how many sizes are within the budget
    while _problem(architecture, hidden):
        hidden -= 1
    return hidden


def _problem(architecture: Architecture, hidden: int) -> str:
    """Why the cell does not support this hidden size; an empty string if it does."""
    sized = replace(architecture, hidden=hidden)
    try:
        sized.block.check(sized.width)
        for place in sized.layers():
            sized.cell.check(hidden, place.inputs)
    except ValueError as error:
        return str(error)
    return ""
