"""The ways in which a user's module may be called, and a module that is called in only one way.

Shapes: B sequences, T steps, I inputs, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

# What a module gets as its state before the first step
STATES: dict[str, Callable[[Tensor], tuple[Any, ...]]] = {
    "none": lambda zeros_BH: (),
    "None": lambda zeros_BH: (None,),
    "zeros": lambda zeros_BH: (zeros_BH,),
    "two zeros": lambda zeros_BH: ((zeros_BH, zeros_BH),),
}


# The keys under which a module that returns a dict has its outputs; the rest is its state
OUTPUTS = ("output", "outputs", "out", "y", "logits", "last_hidden_state")


@dataclass(frozen=True)
class Calling:
    """How a module is called.

    Attributes:
        style: "sequence" for (x_BTI, state) -> (output_BTH, state); "step" for (x_BI, state) -> state; "pair step" for
            (x_BI, state) -> (output_BH, state).
        state: a key of `STATES`, what it gets before the first step.
        time_first: whether a sequence has its steps on the first axis.
    """

    style: str
    state: str
    time_first: bool


class Whole(nn.Module):
    """A module of any style, called in one way: with sequences (B, T, I) and a state, or no state before the start."""

    def __init__(self, module: nn.Module, calling: Calling) -> None:
        super().__init__()
        self.module, self.calling = module, calling

    @override
    def forward(self, x_BTI: Tensor, hidden: int, before: tuple[Any, ...]) -> tuple[Any, Any]:
        """Outputs (B, T, H) and the state after the last step; `before` is empty at the start."""
        state = before or STATES[self.calling.state](x_BTI.new_zeros(len(x_BTI), hidden))
        return self._sequence(x_BTI, state) if self.calling.style == "sequence" else self._steps(x_BTI, state)

    def _sequence(self, x_BTI: Tensor, state: tuple[Any, ...]) -> tuple[Any, Any]:
        swaps = self.calling.time_first
        found = _as_pair(self.module(x_BTI.transpose(0, 1) if swaps else x_BTI, *state))
        output, after = found[:2] if isinstance(found, tuple | list) and len(found) > 1 else (found, None)
        return (output.transpose(0, 1) if swaps and isinstance(output, Tensor) else output), after

    def _steps(self, x_BTI: Tensor, state: tuple[Any, ...]) -> tuple[Any, Any]:
        outputs = []
        for x_BI in x_BTI.unbind(1):
            found = self.module(x_BI, *state)
            found = _as_pair(found) if self.calling.style == "pair step" else found
            several = isinstance(found, tuple | list)
            if not isinstance(found[0] if several else found, Tensor):
                return found, None  # of a wrong kind
            outputs.append(found[0] if several else found)
            state = (found[1] if self.calling.style == "pair step" else found,)
        return torch.stack(outputs, 1), state[0]


def _as_pair(found: Any) -> Any:
    """A dict with outputs under a known key as (outputs, state); everything else unchanged."""
    key = next((key for key in OUTPUTS if key in found), "") if isinstance(found, Mapping) else ""
    if not key:
        return found
    state = {name: value for name, value in found.items() if name != key}
    return found[key], next(iter(state.values())) if len(state) == 1 else state or None
