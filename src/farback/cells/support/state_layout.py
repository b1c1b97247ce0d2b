"""The form of a callable's state: which axis of each tensor holds the sequences, and whether one holds the steps.

Shapes: B sequences, T steps, S numbers of the full state; a complex number counts as two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class StateLayout:
    """The form of a state, found from two runs with 2 and with 3 sequences.

    Attributes:
        example: the state of 2 sequences.
        axes: the axis of the sequences in each tensor of the state.
        steps: whether each tensor holds the states of all steps, on the axis beside the sequences.
    """

    example: Any
    axes: tuple[int, ...]
    steps: tuple[bool, ...]

    @classmethod
    def of(cls, two: Any, three: Any, length: int, time_first: bool) -> StateLayout | None:
        """The layout of a returned state; None if a part of it is no tensor, or has no axis of the sequences."""
        pairs = list(zip(_tensors(two), _tensors(three), strict=False))
        axes, steps = [], []
        for a, b in pairs:
            if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.dim() != b.dim():
                return None
            grown = [axis for axis in range(a.dim()) if (a.shape[axis], b.shape[axis]) == (2, 3)]
            if len(grown) != 1:
                return None
            axes.append(grown[0])
            steps.append(a.dim() > 2 and grown[0] == int(time_first) and a.shape[1 - grown[0]] == length)
        return cls(two, tuple(axes), tuple(steps)) if pairs else None

    @staticmethod
    def shown(state: Any) -> str:
        """A short description of a returned state for messages."""
        shapes = [
            str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in _tensors(state)
        ]
        return ", ".join(shapes) or type(state).__name__

    @property
    def size(self) -> int:
        """S."""
        return sum(self._shape(index, 1).numel() * (2 if part.is_complex() else 1) for index, part in self._parts())

    def every_step(self, state: Any, output_BTO: Tensor) -> Tensor:
        """The states of all steps, (B, T, S), or the outputs if they are not returned."""
        if not all(self.steps):
            return output_BTO
        parts = [part.movedim(axis, 0) for part, axis in zip(_tensors(state), self.axes, strict=True)]
        return torch.cat([_real(part).flatten(2) for part in parts], -1)

    def flattened(self, state: Any) -> Tensor:
        """The full state after the last step, (B, S).

        Raises:
            ValueError: the state has another size than in the first run.
        """
        flat = []
        for part, axis, steps in zip(_tensors(state), self.axes, self.steps, strict=True):
            part = part.movedim(axis, 0)
            flat.append(_real(part[:, -1] if steps else part).reshape(len(part), -1))
        state_BS = torch.cat(flat, 1)
        if state_BS.shape[1] != self.size:
            raise ValueError(
                f"the state of a callable must have the same size after any number of steps; it had {self.size} "
                f"numbers for each sequence, and now {state_BS.shape[1]}"
            )
        return state_BS

    def unflattened(self, state_BS: Tensor) -> Any:
        """The state in the callable's own form; as (B, S) where it returns the states of all steps.

        Raises:
            ValueError: not of shape (B, S).
        """
        if state_BS.dim() != 2 or state_BS.shape[1] != self.size:
            raise ValueError(f"the full state must be (B, {self.size}); got {tuple(state_BS.shape)}")
        parts, start = [], 0
        for index, part in self._parts():
            shape = self._shape(index, len(state_BS))
            count = shape.numel() // len(state_BS) * (2 if part.is_complex() else 1)
            values = state_BS[:, start : start + count].to(_real(part).dtype)
            start += count
            values = (
                torch.view_as_complex(values.reshape(*shape, 2).contiguous())
                if part.is_complex()
                else values.reshape(shape)
            )
            parts.append(values if self.steps[index] else values.movedim(0, self.axes[index]).contiguous())
        return _rebuilt(self.example, iter(parts))

    def _parts(self) -> list[tuple[int, Tensor]]:
        return list(enumerate(_tensors(self.example)))

    def _shape(self, index: int, batch: int) -> torch.Size:
        """The shape of a tensor of the state after the last step, with the sequences first."""
        part = _tensors(self.example)[index].movedim(self.axes[index], 0)
        return torch.Size([batch, *part.shape[2 if self.steps[index] else 1 :]])


def _real(part: Tensor) -> Tensor:
    return torch.view_as_real(part) if part.is_complex() else part


def _tensors(state: Any) -> list[Any]:
    """The tensors of a state, a tensor or nested tuples, lists and dicts of tensors, in order."""
    return list(_walk(state))


def _walk(state: Any) -> Iterator[Any]:
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, tuple | list):
        for part in state:
            yield from _walk(part)
    elif state is not None:
        yield state


def _rebuilt(example: Any, parts: Iterator[Tensor]) -> Any:
    """The example with other tensors."""
    if isinstance(example, dict):
        return {key: _rebuilt(value, parts) for key, value in example.items()}
    if isinstance(example, tuple) and hasattr(example, "_fields"):
        return type(example)(*(_rebuilt(value, parts) for value in example))
    if isinstance(example, tuple | list):
        return type(example)(_rebuilt(value, parts) for value in example)
    return None if example is None else next(parts)
