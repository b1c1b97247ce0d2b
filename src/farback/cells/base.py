"""A cell is a recurrence: parameters, one step, its equations.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units, G rows of gates. Time comes before the batch, so
that one step of one replica is one block of memory. Every tensor carries the replicas first: replica r sees weights r
only.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from farback.kernels.unroll import DiagonalKernel, Kernel
from farback.kernels.unroll import product as product
from farback.records.component import Component, Family

Array = NDArray[np.float64]
Parameters = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Cell(Component):
    """The base of the cells.

    Class attributes tell the rest of the program what it may do with a cell:
        gates: names of the H-row blocks of `weight_ih` and `bias_ih`, in order; those with a recurrent matrix come
            first, as the blocks of `weight_hh`.
        keep: the gate whose sigmoid multiplies the old state, where there is one (forget-bias and chrono set it).
        write: the gate that lets new input in, where it is not tied to `keep`. A cell with `write` alone keeps what it
            does not write: the old state is multiplied by one minus that gate.
        frozen: names of the parameters that are drawn and never trained.
        known_as: the name people use, where it is not the file's.
    """

    gates: ClassVar[tuple[str, ...]] = ("h",)
    keep: ClassVar[str | None] = None
    write: ClassVar[str | None] = None
    frozen: ClassVar[tuple[str, ...]] = ()
    known_as: ClassVar[str] = ""

    @property
    def kernel(self) -> Kernel | None:
        """The fused kernel that computes this recurrence; None is stepped."""
        return None

    @abstractmethod
    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of one layer's parameters, without the replica axis.

        Those called bias* may be left out. An initialisation draws what is called weight* or bias*, and `special` the
        rest.
        """

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Values, as published, of the parameters that no initialisation draws: time scales, angles, diagonals.

        Args:
            hidden: H.
            lag: the largest lag that the trial trains at.
            rng: the weight stream.
        """
        return {}

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
        index, H = self.gates.index(gate), gates_RBG.shape[-1] // len(self.gates)
        rows = slice(index * H, (index + 1) * H)
        pre_RBH = gates_RBG[..., rows]
        if "weight_hh" in p:
            pre_RBH = pre_RBH + recurrent(state[0], p)[..., rows]
        return log_sigmoid(pre_RBH if self.keep else -pre_RBH)

    def zero(self, like_RBH: Tensor) -> State:
        """The state before the first step."""
        return (torch.zeros_like(like_RBH),)

    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """What the layer above sees of a step, (R, B, H), given the state after it."""
        return state[0]

    def flops(self, inputs: int, hidden: int) -> int:
        """Multiplications and additions of one step of one sequence: two for each entry of a `weight*`.

        A cell whose other parameters multiply something, or that uses a weight more than once a step, says its own.
        """
        shapes = self.parameters(inputs, hidden)
        return sum(2 * math.prod(shape) for name, shape in shapes.items() if name.startswith("weight"))

    def check(self, hidden: int, inputs: int) -> None:
        """Raise ValueError where the cell cannot have that many hidden units for that many inputs."""

    def to_torch(self, inputs: int, hidden: int, depth: int, bias: bool, bidirectional: bool) -> nn.RNNBase:
        """An empty `torch.nn` module of the same recurrence.

        Raises:
            ValueError: PyTorch has no such module.
        """
        raise ValueError(f"torch.nn has no module for {self.label()}; it has elman (tanh, relu), lstm and gru")

    def label(self) -> str:
        """The name people use, and each field that is not at its default."""
        text = super().label()
        return self.known_as + text[len(self.name) :] if self.known_as else text


class SteppedCell(Cell):
    """A cell that computes one step at a time."""

    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Loop over the steps."""
        outputs = []
        for gates_RBG in gates_RTBG.unbind(1):
            state = self.step(p, gates_RBG, state)
            outputs.append(self.output(p, gates_RBG, state))
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


class DiagonalCell(Cell):
    """A cell whose state entries do not mix: h_t = a_t h_{t-1} + b_t, with a_t and b_t made of the inputs alone.

    One kernel computes them all. A complex state is carried as two real parts.
    """

    @property
    def kernel(self) -> Kernel | None:
        """Fused."""
        return DiagonalKernel()

    @abstractmethod
    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """a and b of all steps, (R, T, B, H) each; complex where the state is."""

    def outputs(self, p: Parameters, gates_RTBG: Tensor, h_RTBH: Tensor) -> Tensor:
        """What the layer above sees of all steps, (R, T, B, H), given the states after them."""
        return h_RTBH

    def scan(
        self,
        p: Parameters,
        gates_RTBG: Tensor,
        state: State,
        recurrence: Callable[[Tensor, Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, State]:
        """Outputs and last state by a function that computes all h_RTBH from a, b and the initial h_RBH."""
        a_RTBH, b_RTBH = self.coefficients(p, gates_RTBG)
        h_RTBH = recurrence(a_RTBH, b_RTBH, joined(state))
        return self.outputs(p, gates_RTBG, h_RTBH), parted(h_RTBH[:, -1])

    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Loop over the steps."""
        return self.scan(p, gates_RTBG, state, stepped)

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """One step."""
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]

    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """One step's."""
        return self.outputs(p, gates_RBG.unsqueeze(1), joined(state).unsqueeze(1)).squeeze(1)


def joined(state: State) -> Tensor:
    """A state of one part as it is, one of two parts as a complex tensor."""
    return state[0] if len(state) == 1 else torch.complex(*state)


def parted(h_RBH: Tensor) -> State:
    """The inverse of `joined`."""
    return (h_RBH.real, h_RBH.imag) if h_RBH.is_complex() else (h_RBH,)


def stepped(a_RTBH: Tensor, b_RTBH: Tensor, h_RBH: Tensor) -> Tensor:
    """All h_t = a_t h_{t-1} + b_t, one after the other."""
    states = []
    for a_RBH, b_RBH in zip(a_RTBH.unbind(1), b_RTBH.unbind(1), strict=True):
        h_RBH = a_RBH * h_RBH + b_RBH
        states.append(h_RBH)
    return torch.stack(states, 1)


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


def log_sigmoid(x: Tensor) -> Tensor:
    """The logarithm of the logistic function, finite for every finite x.

    Made of functions that round alike alone and packed, which torch's own does not; and of two branches, so that its
    slope is right at exactly 0, where torch's slope of |x| is 0 and would make it 0 or 1 instead of 1/2.
    """
    negative = x < 0
    return torch.where(negative, x, 0.0) - torch.log1p(torch.exp(torch.where(negative, x, -x)))


FAMILY = Family("farback.cells", Cell, "cell")
