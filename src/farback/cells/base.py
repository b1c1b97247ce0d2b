"""A cell is a recurrence: parameters, one step, its equations.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units, G rows of gates. Time comes before the batch, so
that one step of one replica is one block of memory. Every tensor carries the replicas first: replica r sees weights r
only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from farback.component import Component, Family
from farback.kernels.unroll import product

Parameters = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Cell(Component):
    """The base of the cells.

    Class attributes tell the rest of the program what it may do with a cell:
        gates: names of the H-row blocks of the `weight_*` and `bias_*` parameters, in order.
        keep: the gate whose sigmoid multiplies the old state, where there is one (forget-bias and chrono set it).
        write: the gate that lets new input in, where it is not tied to `keep`.
        kernel: the fused kernel that computes this recurrence, where there is one.
    """

    gates: ClassVar[tuple[str, ...]] = ("h",)
    keep: ClassVar[str | None] = None
    write: ClassVar[str | None] = None

    @property
    def kernel(self) -> str | None:
        """The fused kernel that computes this recurrence; None is stepped."""
        return None

    @abstractmethod
    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of one layer's parameters, without the replica axis; those called bias* may be left out."""

    @abstractmethod
    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """What the inputs contribute, for all steps at once: (R, T, B, G)."""

    @abstractmethod
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """The state after one more step."""

    @abstractmethod
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs (R, T, B, H) of all steps, and the state after the last."""

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor | None:
        """ln of the share of each unit's old state that a step keeps on the direct path, (R, B, H); None: no gate.

        It is the keep gate's sigmoid, or, where only a write gate is named, 1 minus that one's. A cell whose gates are
        computed in another way says so itself.
        """
        gate = self.keep or self.write
        if gate is None:
            return None
        index, sign = self.gates.index(gate), 1 if self.keep else -1
        pre_RBH = gates_RBG.chunk(len(self.gates), -1)[index]
        if "weight_hh" in p:
            pre_RBH = pre_RBH + recurrent(state[0], p).chunk(len(self.gates), -1)[index]
        return torch.nn.functional.logsigmoid(sign * pre_RBH)

    def zero(self, like_RBH: Tensor) -> State:
        """The state before the first step."""
        return (torch.zeros_like(like_RBH),)

    def output(self, state: State) -> Tensor:
        """What the layer above sees, (R, B, H)."""
        return state[0]

    def check(self, hidden: int, inputs: int) -> None:
        """Raise ValueError where the cell cannot have that many hidden units for that many inputs."""

    def to_torch(self, inputs: int, hidden: int, depth: int, bias: bool, bidirectional: bool) -> nn.RNNBase:
        """An empty `torch.nn` module of the same recurrence.

        Raises:
            ValueError: PyTorch has no such module.
        """
        raise ValueError(f"torch.nn has no module for {self.label()}; it has elman (tanh, relu), lstm and gru")


class SteppedCell(Cell):
    """A cell that computes one step at a time."""

    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Loop over the steps."""
        outputs = []
        for gates_RBG in gates_RTBG.unbind(1):
            state = self.step(p, gates_RBG, state)
            outputs.append(self.output(state))
        return torch.stack(outputs, 1), state


class GatedCell(SteppedCell):
    """A cell with the parameters of torch.nn's recurrent layers: two weights and two biases, H rows for each gate."""

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """One weight and one bias for the input, one for the state."""
        rows = len(self.gates) * hidden
        return {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """W_ih x + b_ih."""
        return linear(x_RTBI, p["weight_ih"], p.get("bias_ih"))


def linear(x_RTBI: Tensor, weight_RGI: Tensor, bias_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, step and sequence: one matrix product a replica."""
    R, T, B, width = x_RTBI.shape
    return product(x_RTBI.reshape(R, T * B, width), weight_RGI, bias_RG).view(R, T, B, -1)


def recurrent(h_RBH: Tensor, p: Parameters) -> Tensor:
    """`W_hh h + b_hh`, (R, B, G)."""
    return product(h_RBH, p["weight_hh"], p.get("bias_hh"))


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function through tanh.

    `torch.sigmoid` rounds the last few elements of a tensor differently from the others, so a replica's numbers would
    depend on its place in the cohort; `torch.tanh` does not.
    """
    return torch.tanh(x * 0.5) * 0.5 + 0.5


FAMILY = Family("farback.cells", Cell, "cell")
