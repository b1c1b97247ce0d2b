"""The interface of the kernels: fused recurrences, products and optimizer steps, with fallbacks on other devices.

Kernels compute on the CPU. They are imported when they are first used, since numba takes a second to import.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor
from typing_extensions import override

from farback.kernels.pointwise import Pointwise
from farback.kernels.symbols import Symbols

Parameters = Mapping[str, Tensor]
State = tuple[Tensor, ...]
Backward = Callable[[Tensor], Tensor]
"""Computes the gradient of the flat parameters, (R, P), from the gradient of the outputs, (R, N, O)."""


class Recurrence(Protocol):
    """The part of a cell that kernels use."""

    @property
    def kernel(self) -> Kernel | None:
        """The cell's kernel, or None for a cell that is computed step by step."""

    def project(self, p: Any, x_RTBI: Tensor) -> Tensor:
        """The contribution of the inputs to the gates, for all steps at once."""

    def unroll(self, p: Any, gates_RTBG: Tensor, state: Any) -> tuple[Tensor, State]:
        """Outputs of all steps and last state, computed without a kernel."""


class Kernel(ABC):
    """A compiled recurrence, forward and backward."""

    @abstractmethod
    def unroll(self, cell: Any, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs (R, T, B, H) of all steps, and the state after the last."""

    @abstractmethod
    def compile(self, dtype: torch.dtype = torch.float32) -> None:
        """Compile the kernel for a dtype, or load it from disk.

        Raises:
            ValueError: there is no such kernel.
        """


@dataclass(frozen=True)
class GatedKernel(Kernel):
    """The kernel of a cell with the parameters of `torch.nn.RNN`, `GRU` or `LSTM`.

    Attributes:
        cell: "elman", "gru" or "lstm".
        nonlinearity: the nonlinearity of elman; empty for the other cells.
    """

    cell: str
    nonlinearity: str = ""

    def __str__(self) -> str:
        return f"{self.cell} {self.nonlinearity}".strip()

    @property
    def code(self) -> Any:
        """The step functions of the cell, forward and backward (`farback.kernels.time_loop.CellCode`).

        Raises:
            ValueError: there is no such kernel.
        """
        from farback.kernels import gated_cells

        if self.cell == "elman":
            return gated_cells.elman(self.nonlinearity)
        codes = {"gru": gated_cells.GRU, "lstm": gated_cells.LSTM}
        if self.cell not in codes or self.nonlinearity:
            raise ValueError(f"there is no kernel {self}; there are kernels elman (with a nonlinearity), gru and lstm")
        return codes[self.cell]

    @override
    def unroll(self, cell: Any, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        from farback.kernels.autograd import layer

        weights = (None, p["weight_hh"], None, p.get("bias_hh"))
        return layer(self.code, None, gates_RTBG, weights, state, None)

    def layer(self, p: Parameters, x_RTBI: Tensor, state: State, index_RN: Tensor | None) -> tuple[Tensor, State]:
        """Outputs and last state of a layer from its inputs; see the function `layer`."""
        from farback.kernels.autograd import layer

        weights = (p["weight_ih"], p["weight_hh"], p.get("bias_ih"), p.get("bias_hh"))
        return layer(self.code, x_RTBI, None, weights, state, index_RN)

    @override
    def compile(self, dtype: torch.dtype = torch.float32) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=dtype, requires_grad=True)

        blocks, state = self.code.blocks, zeros(1, 1, 1)
        states = (state,) if self.code.carried is None else (state, state)
        outputs, _ = self.unroll(None, {"weight_hh": zeros(1, blocks, 1)}, zeros(1, 1, 1, blocks), states)
        outputs.sum().backward()  # type: ignore[no-untyped-call]
        if dtype is torch.float32:
            from farback.kernels import torch_operators, update_loop

            if torch_operators.addresses() is not None:
                update_loop.example(self.code)


@dataclass(frozen=True)
class PointwiseKernel(Kernel):
    """The kernel of a cell whose step is given as scalar functions, see `farback.kernels.pointwise`.

    Attributes:
        cell: a name for the step.
        step: its functions.
        gates: the number of gates.
        states: the number of parts of the state, of which the first is the output.
    """

    cell: str
    step: Pointwise
    gates: int
    states: int

    def __str__(self) -> str:
        return self.cell

    @override
    def unroll(self, cell: Any, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        from farback.kernels.pointwise_loop import Code, layer

        constants = gates_RTBG.new_tensor([getattr(cell, name) for name in self.step.constants])
        units = tuple(p[name] for name in self.step.units)
        code = Code(self.cell, self.step, self.gates, self.states)
        return layer(code, constants, gates_RTBG, state, cell.matrices(p), p.get("bias_hh"), units)

    @override
    def compile(self, dtype: torch.dtype = torch.float32) -> None:
        from farback.kernels.pointwise_loop import Code, layer

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=dtype, requires_grad=True)

        code, between = Code(self.cell, self.step, self.gates, self.states), self.step.between
        matrices = (zeros(1, between.gates, 1), zeros(1, self.gates - between.gates, 1)) if between else ()
        constants, units = zeros(len(self.step.constants)), tuple(zeros(1, 1) for _ in self.step.units)
        states = tuple(zeros(1, 1, 1) for _ in range(self.states))
        outputs, _ = layer(code, constants.detach(), zeros(1, 1, 1, self.gates), states, matrices, None, units)
        outputs.sum().backward()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class DiagonalKernel(Kernel):
    """The kernel of a `farback.cells.base.DiagonalCell`, whose state entries do not mix: h_t = a_t h_{t-1} + b_t."""

    is_complex: bool = False

    def __str__(self) -> str:
        return "diagonal complex" if self.is_complex else "diagonal"

    @override
    def unroll(self, cell: Any, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        from farback.kernels.diagonal import diagonal

        result: tuple[Tensor, State] = cell.scan(p, gates_RTBG, state, diagonal)
        return result

    @override
    def compile(self, dtype: torch.dtype = torch.float32) -> None:
        from farback.kernels.diagonal import diagonal

        step = torch.zeros(1, 1, 1, 1, dtype=dtype.to_complex() if self.is_complex else dtype, requires_grad=True)
        diagonal(step, step, step[:, 0]).real.sum().backward()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class MatrixStateKernel(Kernel):
    """The kernel of a cell with a matrix state for each head, whose transition is diagonal plus rank one."""

    def __str__(self) -> str:
        return "matrix state"

    @override
    def unroll(self, cell: Any, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        from farback.kernels.matrix_state import matrix_state

        result: tuple[Tensor, State] = cell.scan(p, gates_RTBG, state, matrix_state)
        return result

    @override
    def compile(self, dtype: torch.dtype = torch.float32) -> None:
        from farback.kernels.matrix_state import matrix_state

        row = torch.zeros(1, 1, 1, 1, 1, dtype=dtype, requires_grad=True)
        outputs, _ = matrix_state(row, row, row, row, row, row, row)
        outputs.sum().backward()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class ScanKernel(Kernel):
    """The kernel of a cell that gives a module of this folder the arrays of a whole sequence.

    Attributes:
        module: the name of the module. Its function `scan` takes what `cell.fused` gives it, and its function `example`
            makes the smallest arguments of `scan`.
    """

    module: str

    def __str__(self) -> str:
        return self.module

    @override
    def unroll(self, cell: Any, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        result: tuple[Tensor, State] = cell.fused(p, gates_RTBG, state, self._code.scan)
        return result

    @override
    def compile(self, dtype: torch.dtype = torch.float32) -> None:
        arguments = [argument.requires_grad_() for argument in self._code.example(dtype)]
        sum(output.sum() for output in self._code.scan(*arguments)).backward()

    @property
    def _code(self) -> Any:
        return import_module(f"farback.kernels.{self.module}")


def on_cpu(x: Tensor | Symbols) -> bool:
    """Whether kernels can compute on a tensor."""
    return x.is_cpu


def unroll(cell: Recurrence, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
    """Outputs (R, T, B, H) of all steps, and the state after the last, from the cell's kernel or step by step."""
    if cell.kernel is None or not on_cpu(gates_RTBG):
        return cell.unroll(p, gates_RTBG, state)
    return cell.kernel.unroll(cell, p, gates_RTBG, state)


def layer(
    cell: Recurrence,
    p: Parameters,
    x_RTBI: Tensor,
    state: State,
    index_RN: Tensor | None = None,
    truncate: int | None = None,
) -> tuple[Tensor, State]:
    """Outputs (R, T, B, H) of all steps of a layer, and the state after the last, from the layer's inputs.

    With `index_RN`, strictly increasing indices into the T * B outputs, only these outputs are returned, (R, N, H),
    which saves memory for outputs and gradients. With `truncate`, no gradient passes from one stretch of so many steps
    to the next; the first stretch is shorter if T is not a multiple.
    """
    T = x_RTBI.shape[1]
    if truncate is not None and truncate < T:
        parts = []
        for part_RTBI in torch.split(x_RTBI, [T % truncate or truncate] + [truncate] * ((T - 1) // truncate), 1):
            h_RTBH, state = layer(cell, p, part_RTBI, state)
            state = tuple(value.detach() for value in state)
            parts.append(h_RTBH)
        h_RTBH = torch.cat(parts, 1)
    elif isinstance(cell.kernel, GatedKernel) and on_cpu(x_RTBI):
        return cell.kernel.layer(p, x_RTBI, state, index_RN)
    else:
        h_RTBH, state = unroll(cell, p, cell.project(p, x_RTBI), state)
    return h_RTBH if index_RN is None else selected(h_RTBH, index_RN), state


def selected(h_RTBH: Tensor, index_RN: Tensor) -> Tensor:
    """The T * B outputs at these indices, (R, N, H)."""
    return h_RTBH.flatten(1, 2).gather(1, index_RN.unsqueeze(-1).expand(-1, -1, h_RTBH.shape[-1]))


def layer_with_backward(
    cell: Recurrence,
    flat_RP: Tensor,
    starts: Mapping[str, int],
    sizes: tuple[int, int],
    x_RTBI: Tensor | Symbols,
    index_RN: Tensor | None,
    limit: int | None = None,
) -> tuple[Tensor, Backward] | None:
    """The outputs (R, N, O) of a layer and its readout, and their backward pass; None where autograd is needed.

    Args:
        cell: the cell of the layer.
        flat_RP: the flat parameters of layer and readout.
        starts: the index at which each parameter begins among the flat parameters.
        sizes: the numbers of hidden units and of outputs.
        x_RTBI: the inputs of the layer, or their codes; the state starts from zero.
        index_RN: as in `layer`.
        limit: the bytes beyond which the backward pass computes stretches of steps again; None for no limit.
    """
    if not isinstance(cell.kernel, GatedKernel) or not on_cpu(x_RTBI):
        return None
    from farback.kernels.explicit_gradient import layer_and_readout

    return layer_and_readout(cell.kernel.code, flat_RP, starts, *sizes, x_RTBI, index_RN, limit)


def product(x_RNI: Tensor, weight_RGI: Tensor, bias_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, (R, N, G); see `farback.kernels.linear_layer`."""
    from farback.kernels.linear_layer import linear

    return linear(x_RNI, weight_RGI, bias_RG)


def supported(*tensors: Tensor) -> bool:
    """Whether `clip` and `adam` can compute on these tensors: contiguous, on the CPU, float32 or float64."""
    return all(t.is_cpu and t.dtype in (torch.float32, torch.float64) and t.is_contiguous() for t in tensors)


def clip(grad_RP: Tensor, limit_R1: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient scaled down to each replica's limit, and the norms before scaling, (R,)."""
    from farback.kernels import optimizer_steps

    return optimizer_steps.clip(grad_RP, limit_R1)


def adam(theta: Tensor, grad: Tensor, first: Tensor, second: Tensor, rules: dict[str, Tensor], count: int) -> None:
    """One Adam step of all replicas, in place."""
    from farback.kernels import optimizer_steps

    optimizer_steps.adam(theta, grad, first, second, rules, count)
