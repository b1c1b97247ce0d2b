"""Equal size: the number of hidden units that a budget of parameters, state or arithmetic allows a network."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from farback.networks.network import Architecture
from farback.records.record import Record

LARGEST_HIDDEN = 8192  # units of a layer; a guard against a slip

Kind = Literal["parameters", "state", "flops"]
Budget = Annotated[int, Field(ge=1, le=10**15)]
WORDS = {"parameters": "parameters", "state": "numbers of state", "flops": "FLOPs a step"}


class MatchError(ValueError):
    """A budget that no hidden size fits, or that contradicts a hidden size which is given too."""


class Match(Record):
    """What `hidden` is chosen for: the largest that keeps to a budget of parameters, state or FLOPs per step.

    `{parameters: 5000}` counts everything that is trained (encoder, cells, learned initial states, readout),
    `{state: 64}` the numbers carried from step to step in all layers, `{flops: 20000}` the multiplications and
    additions of one step of one sequence. The counts are those of `Architecture`.
    """

    parameters: Budget | None = None
    state: Budget | None = None
    flops: Budget | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_a_budget(cls, values: Any) -> Any:
        if isinstance(values, str):
            raise ValueError(f"needs a budget, such as {{parameters: 5000}} or {{state: 64}}, got {values!r}")
        return values

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        given = [name for name in WORDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"takes one of {', '.join(WORDS)}, got {' and '.join(given) or 'none of them'}")
        return self

    @property
    def kind(self) -> Kind:
        """What is counted."""
        return cast(Kind, next(name for name in WORDS if getattr(self, name) is not None))

    @property
    def budget(self) -> int:
        """The largest count that is allowed."""
        return int(getattr(self, self.kind))

    def hidden(self, architecture: Architecture) -> int:
        """The hidden size that such a network is given; its own is not looked at.

        Raises:
            MatchError: every possible size exceeds the budget, or none does.
        """
        return fitted(replace(architecture, hidden=1), self.kind, self.budget)

    def __str__(self) -> str:
        return f"{self.kind} {self.budget}"


@lru_cache(maxsize=4096)  # a sweep asks for the same network with every seed and learning rate
def fitted(architecture: Architecture, kind: Kind, budget: int) -> int:
    """The largest hidden size that the cell can have and whose count does not exceed the budget.

    Not the nearest: no network of a comparison then has more than the others were allowed. Counts grow with the hidden
    size, so it is found by halving; a cell that can have some sizes only (`Cell.check`) gets the next one below.

    Raises:
        MatchError: see `Match.hidden`.
    """

    def count(hidden: int) -> int:
        return replace(architecture, hidden=hidden).counts[kind]

    refused = [_refusal(architecture, 1)]
    while refused[-1] and len(refused) < LARGEST_HIDDEN:
        refused.append(_refusal(architecture, len(refused) + 1))
    if refused[-1]:
        raise MatchError(f"no hidden size up to {LARGEST_HIDDEN} suits this network: {refused[0]}")
    smallest, label, counted = len(refused), architecture.cell.label(), WORDS[kind]
    if count(smallest) > budget:
        least = f"the smallest such network of {label} (hidden {smallest}) has {count(smallest)}"
        raise MatchError(f"a budget of {budget} {counted} is too small: {least}")
    if count(LARGEST_HIDDEN) <= budget:
        most = f"{label} with the largest hidden size that is allowed, {LARGEST_HIDDEN}, has {count(LARGEST_HIDDEN)}"
        raise MatchError(f"a budget of {budget} {counted} is too large: {most}")
    low, high = smallest, LARGEST_HIDDEN  # the first keeps to the budget, the second exceeds it
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= budget else (low, middle)
    while _refusal(architecture, low):
        low -= 1
    return low


def _refusal(architecture: Architecture, hidden: int) -> str:
    """Why the cell cannot have that many units at that place; nothing where it can."""
    sized = replace(architecture, hidden=hidden)
    try:
        for place in sized.layers():
            sized.cell.check(hidden, place.inputs)
    except ValueError as error:
        return str(error)
    return ""
