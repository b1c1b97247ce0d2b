"""Run a system on windows: the last steps before each answer.

Shapes: B sequences, T steps, I inputs, O outputs, N answers, U distinct sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from farback.measures.support.callable_system import SPLIT
from farback.measures.support.system import System
from farback.networks.module_copies import same

PART_NUMBERS = 1_000_000  # numbers of the windows of one forward pass,
WIDTH = 32  # where a step counts as at least this many, because its states take memory too


class LongWindows:
    """As `Windows`, of answers at the last of T steps; `draw` gives the same sequences anew, in parts (B, T, I)."""

    def __init__(self, system: System, draw: Callable[[], Iterator[tuple[int, Tensor]]], steps: int) -> None:
        self.system, self.draw, self.steps = system, draw, steps
        self.full_NO = self.truncated(steps - 1)
        self.row_N, self.outputs = torch.arange(len(self.full_NO)), self.full_NO.shape[1]

    def truncated(self, lag: int) -> Tensor:
        """The outputs (N, O) where the first input that is seen lies `lag` steps before the answer."""
        output_NO = state_NS = None
        with torch.no_grad():
            for first, x_BTI in self.draw():
                begin = max(0, self.steps - 1 - lag - first)
                if begin < x_BTI.shape[1]:
                    output_NTO, state_NS = self.system.carry(x_BTI[:, begin:], state_NS)
                    output_NO = output_NTO[:, -1]
        assert output_NO is not None  # the last step is always seen
        return output_NO


class Windows:
    """The outputs at N answers of a system that sees whole sequences, or only the last steps before each answer."""

    def __init__(self, system: System, x_BTI: Tensor, row_N: Tensor, step_N: Tensor) -> None:
        self.system, self.x_BTI, self.row_N, self.step_N = system, x_BTI, row_N, step_N
        self.steps = x_BTI.shape[1]
        self.outputs = int(self._run(x_BTI[:1, -1:]).shape[2])
        self.end_N = step_N + 1 if self._causal() else torch.full_like(step_N, x_BTI.shape[1])
        self.width = max(WIDTH, x_BTI.shape[2], self.outputs)
        self.full_NO = self._full()

    def truncated(self, lag: int) -> Tensor:
        """The outputs (N, O) where the first input that is seen lies `lag` steps before the answer."""
        output_NO = self.full_NO.clone()
        length_N = torch.where(self.step_N > lag, self.end_N - self.step_N + lag, 0)
        for length in sorted(set(length_N.tolist())):
            if length:
                for n in self._parts(torch.nonzero(length_N == length)[:, 0], length):
                    step_NT = self.step_N[n, None] - lag + torch.arange(length)
                    output_NO[n] = self._run(self.x_BTI[self.row_N[n, None], step_NT])[:, lag]
        return output_NO

    def _causal(self) -> bool:
        """Whether the first half of two sequences has the same outputs without the second half."""
        x_BTI, half = self.x_BTI[:2], max(1, self.x_BTI.shape[1] // 2)
        return same(self._run(x_BTI[:, :half]), self._run(x_BTI)[:, :half], SPLIT)

    def _full(self) -> Tensor:
        row_U, place_N = map(torch.from_numpy, np.unique(self.row_N.numpy(), return_inverse=True))
        end = int(self.end_N.max())
        order, parts = [], []
        for u in self._parts(torch.arange(len(row_U)), end):
            own = torch.nonzero((place_N >= u[0]) & (place_N <= u[-1]))[:, 0]
            output_BTO = self._run(self.x_BTI[row_U[u], :end])
            order.append(own)
            parts.append(output_BTO[place_N[own] - u[0], self.step_N[own]])
        return torch.cat(parts)[torch.cat(order).argsort()]

    def _parts(self, index_N: Tensor, length: int) -> Iterator[Tensor]:
        yield from torch.split(index_N, max(1, PART_NUMBERS // (length * self.width)))

    def _run(self, x_BTI: Tensor) -> Tensor:
        with torch.no_grad():
            return self.system(x_BTI)[0]
