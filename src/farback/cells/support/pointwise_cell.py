"""The base class of cells whose step is matrix products and functions of the numbers of one unit."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Parameters, State, SteppedCell, product
from farback.kernels.pointwise import Pointwise
from farback.kernels.unroll import Kernel, PointwiseKernel


class PointwiseCell(SteppedCell):
    """A cell whose step is matrix products and functions of the numbers of one unit, which a kernel compiles.

    The gates are the contributions of the inputs plus the products with `matrices` plus the parameter `bias_hh`, if
    there is one.
    """

    @property
    @abstractmethod
    def pointwise(self) -> Pointwise:
        """The step without its products."""

    @property
    @override
    def kernel(self) -> Kernel | None:
        return PointwiseKernel(self.name, self.pointwise, len(self.gates), self.state_parts)

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        matrices, outputs = self.matrices(p), []
        for gates_RBG in gates_RTBG.unbind(1):
            state = self._step(p, matrices, gates_RBG, state)
            outputs.append(state[0])
        return torch.stack(outputs, 1), state

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        return self._step(p, self.matrices(p), gates_RBG, state)

    def _step(self, p: Parameters, matrices: tuple[Tensor, ...], gates_RBG: Tensor, state: State) -> State:
        step, bias, hidden = self.pointwise, p.get("bias_hh"), state[0].shape[-1]
        own = [p[name].unsqueeze(1) for name in step.units]
        rest = [*state, *own, *(getattr(self, name) for name in step.constants)]
        done: list[Tensor] = []
        start = 0
        for matrix in matrices:
            if done and step.between:
                (vector,) = step.between.forward(*done[0].chunk(step.between.gates, -1), *rest)
            else:
                vector = torch.cat(state[: matrix.shape[2] // hidden], -1)
            rows = slice(start, start + matrix.shape[1])
            part = product(vector, matrix, None if bias is None else bias[:, rows])
            done.append(gates_RBG[..., rows] + part)
            start = rows.stop
        gates = torch.cat([*done, gates_RBG[..., start:]], -1).chunk(len(self.gates), -1)
        return step.forward(*gates, *rest)
