"""Run a system over sequences in parts, so that memory does not grow with their length.

Shapes: B sequences, T steps, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from farback.measures.support.system import System

# Inputs of a part, (B, T, I), and the state before it (None at the start), to outputs (B, T, O) and the state after it
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


def resumable(system: System, x_BTI: Tensor) -> Step | None:
    """A function that runs the system part by part; None if it needs whole sequences, as bidirectional networks do."""
    return None if system.unresumable(x_BTI) else system.carry
