"""The cell interface: a recurrence with its parameters and one step; base classes for common kinds of cells.

Shapes: R replicas (independent networks), T steps, B sequences, I inputs, H hidden units, G rows of gates. Time comes
before the batch, so that one step of one replica is one block of memory. The replica axis is always first; replica r
uses only its own parameters.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from farback.kernels.pointwise import log_sigmoid as log_sigmoid
from farback.kernels.pointwise import sigmoid as sigmoid
from farback.kernels.unroll import DiagonalKernel, Kernel
from farback.kernels.unroll import product as product
from farback.records.component import Component, Family

Array = NDArray[np.float64]
Parameters = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Cell(Component):
    """The base class of cells.

    Attributes:
        gates: names of the gates, in the order of their blocks of H rows in `weight_ih` and `bias_ih`. Gates with a
            recurrent matrix come first, because `weight_hh` has blocks for these gates only.
        keep: the gate whose sigmoid multiplies the old state, if there is one; forget_bias and chrono set its bias.
        write: the gate that lets new input in, unless `keep` determines it. In a cell with `write` and no `keep`, the
            old state is multiplied by one minus this gate.
        frozen: names of the parameters that are drawn and never trained.
        state_parts: how many (B, H) tensors the state consists of.
        torch_class: the `torch.nn` module with the same recurrence, if there is one.
        known_as: the cell's usual name, if it differs from the file's name.
        surrogate_gradient: whether training uses another gradient than the derivative, which a step function lacks.
        draws_itself: whether the cell draws all parameters itself, and an initialisation only changes some of them.
        published_block: the block around the cell in its publication, as the `block` of a trial is written.
        answers: whether the outputs are the network's answers, which then has no readout.
        one_by_one: whether replicas run one after the other on a CPU. A training pass then takes one replica at a time,
            forward and backward, so that the next one reuses its memory.
    """

    gates: ClassVar[tuple[str, ...]] = ("h",)
    keep: ClassVar[str | None] = None
    write: ClassVar[str | None] = None
    frozen: ClassVar[tuple[str, ...]] = ()
    state_parts: ClassVar[int] = 1
    torch_class: ClassVar[Callable[..., nn.RNNBase] | None] = None
    known_as: ClassVar[str] = ""
    surrogate_gradient: ClassVar[bool] = False
    draws_itself: ClassVar[bool] = False
    published_block: ClassVar[Mapping[str, object]] = {}
    answers: ClassVar[bool] = False
    one_by_one: ClassVar[bool] = False

    @property
    def kernel(self) -> Kernel | None:
        """The fused kernel that computes this recurrence; None if `unroll` of the cell computes it."""
        return None

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of one layer's parameters, without the replica axis; by default input weights and biases.

        A network without biases has no parameters called bias*. The initialisation draws parameters called weight* or
        bias*; `special` draws the others.
        """
        rows = len(self.gates) * hidden
        return {"weight_ih": (rows, inputs), "bias_ih": (rows,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Values of the parameters that no initialisation draws (time scales, angles, diagonals), drawn as published.

        `lag` is the largest lag that the trial trains on.
        """
        return {}

    def drawn(self, inputs: int, hidden: int, rng: np.random.Generator) -> dict[str, Array]:
        """Values of all parameters as the cell draws them, if it `draws_itself`."""
        return {}

    def initialised(self, inputs: int, hidden: int) -> dict[str, str]:
        """The parameters that initialisations draw, and the names by which these know them."""
        return {name: name for name in self.parameters(inputs, hidden) if name.startswith(("weight", "bias"))}

    def gates_in(self, inputs: int, hidden: int) -> tuple[str, ...]:
        """The gates of a layer of this size, as in `gates`."""
        return self.gates

    def frozen_in(self, inputs: int, hidden: int) -> tuple[str, ...]:
        """The parameters of a layer of this size that are never trained, as in `frozen`."""
        return self.frozen

    def why_no_init(self, inputs: int, hidden: int) -> str:
        """What to add to the message if an initialisation does not fit the cell."""
        return ""

    def sized(self, inputs: int, hidden: int, seeds: Sequence[int] | None = None) -> Cell:
        """The cell as it computes in a layer of this size.

        `seeds` are given in training, one for each replica: of the random numbers that it draws, as dropout does.
        """
        return self

    def unresumable(self, inputs: int, hidden: int) -> str:
        """Why a run cannot resume from the cell's state; empty if it can."""
        return ""

    def at_length(self, steps: int) -> Cell:
        """The cell by which state and operations after so many steps are counted: itself, unless its state grows."""
        return self

    @property
    def growing(self) -> str:
        """Why its state has no fixed size; empty if it has one."""
        return ""

    @property
    def unlearnable(self) -> str:
        """Why its initial state cannot be learned; empty if it can."""
        return self.growing

    def kept(self, hidden: int, steps: int) -> int:
        """About how many numbers a training pass keeps for each step of one sequence, of `steps` steps."""
        return hidden * (len(self.gates) + 2)

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """The contribution of the inputs to the gates at all steps, (R, T, B, G); by default W_ih x + b_ih."""
        return linear(x_RTBI, p["weight_ih"], p.get("bias_ih"))

    @abstractmethod
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """The state after one step."""

    @abstractmethod
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs (R, T, B, H) of all steps, and the state after the last."""

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor | None:
        """ln of the factor by which a step multiplies each unit's old state, (R, B, H); None for a cell without gates.

        By default the factor is the sigmoid of the keep gate or, without one, 1 minus the sigmoid of the write gate.
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
        # not zeros_like, which imports sympy for tensors on the meta device: half a second in every process
        R, B, H = like_RBH.shape
        return tuple(like_RBH.new_zeros(R, B, self.state_width(H)) for _ in range(self.state_parts))

    def state_width(self, hidden: int) -> int:
        """How many numbers each part of the state has, by default one for each unit."""
        return hidden

    def initial(self, like_RBH: Tensor, inputs: int) -> State:
        """The state before the first step of a layer with this number of inputs."""
        return self.zero(like_RBH)

    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """The output of a step to the layer above, (R, B, H), given the state after it."""
        return state[0]

    def flops(self, inputs: int, hidden: int) -> int:
        """Multiplications and additions in one step of one sequence; by default two for each entry of every weight."""
        shapes = self.parameters(inputs, hidden)
        return sum(2 * math.prod(shape) for name, shape in shapes.items() if name.startswith("weight"))

    def check(self, hidden: int, inputs: int) -> None:
        """Raise ValueError if the cell cannot have this number of hidden units with this number of inputs."""

    def to_torch(self, inputs: int, hidden: int, depth: int, bias: bool, bidirectional: bool) -> nn.RNNBase:
        """A `torch.nn` module with the same recurrence; its weights are those that torch draws.

        Raises:
            ValueError: PyTorch has no such module.
        """
        if self.torch_class is None:
            raise ValueError(f"torch.nn has no module for {self.label()}; it has elman (tanh, relu), lstm and gru")
        return self.torch_class(inputs, hidden, depth, bias=bias, batch_first=True, bidirectional=bidirectional)

    def label(self) -> str:
        """The usual name, and each field that differs from its default."""
        text = super().label()
        return self.known_as + text[len(self.name) :] if self.known_as else text


class SteppedCell(Cell):
    """A cell that is computed one step at a time."""

    def matrices(self, p: Parameters) -> tuple[Tensor, ...]:
        """The recurrent matrices as `PointwiseCell` uses them: none, the first, or both.

        The first, (R, blocks * H, parts * H), multiplies the first parts of the state, one below the other. The second,
        (R, blocks * H, H), multiplies the vector of `Pointwise.between`. Their rows are those of the first gates; the
        gates after these have no recurrent matrix.
        """
        return (p["weight_hh"],) if "weight_hh" in p else ()

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        for gates_RBG in gates_RTBG.unbind(1):
            state = self.step(p, gates_RBG, state)
            outputs.append(self.output(p, gates_RBG, state))
        return torch.stack(outputs, 1), state


class GatedCell(SteppedCell):
    """A cell with the parameters of torch.nn's recurrent layers: two weights and two biases, H rows for each gate."""

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """A weight and a bias for the input, and another weight and bias for the state."""
        rows = len(self.gates) * hidden
        return {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}


class DiagonalCell(Cell):
    """A cell whose units do not mix: h_t = a_t h_{t-1} + b_t, where a_t and b_t depend on the inputs alone.

    One kernel computes all such cells. A complex state is stored as two real tensors.
    """

    kernel: ClassVar[Kernel] = DiagonalKernel()

    @abstractmethod
    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """a and b of all steps, (R, T, B, H) each; complex if the state is complex."""

    def outputs(self, p: Parameters, gates_RTBG: Tensor, h_RTBH: Tensor) -> Tensor:
        """The outputs of all steps to the layer above, (R, T, B, H), given the states after them."""
        return h_RTBH

    def scan(
        self, p: Parameters, gates_RTBG: Tensor, state: State, recurrence: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> tuple[Tensor, State]:
        """Outputs and last state; `recurrence` computes h_RTBH from a, b and the initial h_RBH."""
        a_RTBH, b_RTBH = self.coefficients(p, gates_RTBG)
        h_RTBH = recurrence(a_RTBH, b_RTBH, _as_tensor(state))
        last_RBH = h_RTBH[:, -1]
        last = (last_RBH.real, last_RBH.imag) if last_RBH.is_complex() else (last_RBH,)
        return self.outputs(p, gates_RTBG, h_RTBH), last

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        return self.scan(p, gates_RTBG, state, diagonal_states)

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]

    @override
    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        return self.outputs(p, gates_RBG.unsqueeze(1), _as_tensor(state).unsqueeze(1)).squeeze(1)


def _as_tensor(state: State) -> Tensor:
    """A state as one tensor: its only part, or a complex tensor from its real and imaginary parts."""
    return state[0] if len(state) == 1 else torch.complex(*state)


def diagonal_states(a_RTBH: Tensor, b_RTBH: Tensor, h_RBH: Tensor) -> Tensor:
    """All h_t = a_t h_{t-1} + b_t, computed step by step."""
    states = []
    for a_RBH, b_RBH in zip(a_RTBH.unbind(1), b_RTBH.unbind(1), strict=True):
        h_RBH = a_RBH * h_RBH + b_RBH
        states.append(h_RBH)
    return torch.stack(states, 1)


def linear(x: Tensor, weight_RGI: Tensor, bias_RG: Tensor | None = None) -> Tensor:
    """`x W' + b` for x of shape (R, ..., I): one matrix product per replica."""
    return product(x.flatten(1, -2), weight_RGI, bias_RG).view(*x.shape[:-1], -1)


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x)."""
    return x * sigmoid(x)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + e^x)."""
    return -log_sigmoid(-x)


def recurrent(h_RBH: Tensor, p: Parameters) -> Tensor:
    """`W_hh h + b_hh`, (R, B, G)."""
    return product(h_RBH, p["weight_hh"], p.get("bias_hh"))


FAMILY = Family("farback.cells", Cell, "cell")
