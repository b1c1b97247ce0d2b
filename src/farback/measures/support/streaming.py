"""Run a system over sequences in parts, so that memory does not grow with their length.

Shapes: B sequences, T steps, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from farback.measures.support.system import System

# Inputs of a part, (B, T, I), and the state before it (None at the start), to outputs (B, T, O) and the state after it
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


def resumable(system: System, x_BTI: Tensor) -> Step | None:
    """A function that runs the system part by part; None if whole sequences are needed, as by bidirectional networks.

    The state is the system's full state. A callable `(x_BTI, state) -> (output_BTO, state)` may also return any state
    that it takes, as `torch.nn.GRU` and `LSTM` do. The sequences `x_BTI` are run whole and in two parts: a function is
    used only if the outputs agree.
    """
    return next((step for step in (system.carry, system.step) if can_resume(step, system, x_BTI)), None)


def can_resume(step: Step, system: System, x_BTI: Tensor) -> bool:
    """Whether running two sequences in two parts gives the same outputs as running them whole."""
    x_BTI = x_BTI[:2]
    half = x_BTI.shape[1] // 2
    if not half:
        return False
    try:
        with torch.no_grad():
            first_BTO, state = step(x_BTI[:, :half], None)
            outputs_BTO = torch.cat([first_BTO, step(x_BTI[:, half:], state)[0]], 1)
    except (ValueError, TypeError, RuntimeError):  # the system takes no state, or its second argument is not a state
        return False
    return torch.allclose(outputs_BTO, system(x_BTI)[0], rtol=1e-4, atol=1e-6, equal_nan=True)
