"""The interface of a network that can be measured.

Shapes: B sequences, T steps, I inputs, O outputs, S numbers of the full state, H numbers of the state of the top layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

BIDIRECTIONAL = (
    "a bidirectional network reads the whole sequence before it answers, so it has no state to carry from step to "
    "step; use a measure of its outputs (gradient_reach), or measure one direction"
)


class System(ABC):
    """A network as measures see it. Everything is differentiable in the inputs and in the state."""

    inputs: int | None = None  # I; None if any number is accepted
    dtype: torch.dtype | None = None  # of the computation, to which inputs are cast; None to pass inputs unchanged

    @abstractmethod
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O), and the states that the outputs are computed from: (B, T, H) of the top layer."""

    @abstractmethod
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O), and the full state (B, S) after the last step; starts at `state_BS` or the initial state.

        Raises:
            ValueError: the system cannot resume from a state; the message says why, and what to do.
        """

    def unresumable(self, x_BTI: Tensor) -> str:
        """Why the system cannot resume from a state on these inputs; empty if it can."""
        return ""

    @abstractmethod
    def double(self) -> System:
        """The same network in double precision, as a detached copy."""

    def trajectory(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> Tensor:
        """The full state after every step, (B, T, S). Raises ValueError: as `carry`."""
        states = []
        for x_BI in self.cast(x_BTI).unbind(1):
            state_BS = self.carry(x_BI.unsqueeze(1), state_BS)[1]
            states.append(state_BS)
        return torch.stack(states, 1)

    def cast(self, x_BTI: Tensor) -> Tensor:
        """Inputs in the system's precision. Raises ValueError: not of shape (B, T, I)."""
        if x_BTI.dim() != 3 or 0 in x_BTI.shape:
            raise ValueError(f"inputs must be (B, T, I), sequences by steps by inputs; got {tuple(x_BTI.shape)}")
        if self.inputs is not None and x_BTI.shape[-1] != self.inputs:
            raise ValueError(f"the system takes {self.inputs} inputs per step, got {x_BTI.shape[-1]}")
        return x_BTI if self.dtype is None else x_BTI.to(self.dtype)
