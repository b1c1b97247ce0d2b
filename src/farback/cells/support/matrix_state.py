"""Cells whose state is a matrix for each head: linear attention with decay, the delta rule, Mamba-2, mLSTM.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units, G numbers of the projected input, N heads, K rows
and V columns of the state of a head.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Array, Cell, Parameters, State, linear
from farback.cells.support.heads import check_heads
from farback.cells.support.time_steps import log_uniform, softplus_inverse
from farback.kernels.unroll import Kernel, MatrixStateKernel

Recurrence = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Terms:
    """The terms of S_t = diag(w_t) S_{t-1} + b_t (S_{t-1}' a_t)' + k_t v_t' at all steps.

    Attributes:
        w: (R, T, B, N, K), or (R, T, B, N, 1) if a head has one factor for all rows.
        k: (R, T, B, N, K).
        v: (R, T, B, N, V).
        a, b: (R, T, B, N, K), or None if the transition is diagonal.
    """

    w: Tensor
    k: Tensor
    v: Tensor
    a: Tensor | None = None
    b: Tensor | None = None


class MatrixStateCell(Cell):
    """A cell with a K x V matrix S for each head: S_t = diag(w) S_{t-1} + b (S_{t-1}' a)' + k v', read as S_t' q.

    The terms depend on the inputs alone, so that one kernel computes all such cells. The first part of the state is S,
    as N * K * V numbers. Other parts, the `rest`, can be computed for all steps without S.

    Attributes:
        projections: the parameters whose rows, in this order, project the input; `bias_ih` belongs to the first.
        rank_one: whether the transition has a part of rank one.
        decays: whether the transition has a diagonal other than 1.
    """

    kernel: ClassVar[Kernel] = MatrixStateKernel()
    projections: ClassVar[tuple[str, ...]] = ("weight_ih",)
    rank_one: ClassVar[bool] = False
    decays: ClassVar[bool] = True

    heads: Annotated[int, Field(ge=1, le=1024)] = 1

    def check(self, hidden: int, inputs: int) -> None:
        """H must be a multiple of the number of heads."""
        check_heads(hidden, self.heads)

    def matrix(self, hidden: int) -> tuple[int, int]:
        """K and V; by default both are H / N."""
        return hidden // self.heads, hidden // self.heads

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """The products of the input with all `projections`, side by side."""
        weights = [p[name] for name in self.projections]
        return linear(x_RTBI, weights[0] if len(weights) == 1 else torch.cat(weights, 1), None)

    def zero(self, like_RBH: Tensor) -> State:
        """S is 0."""
        K, V = self.matrix(like_RBH.shape[-1])
        return (like_RBH.new_zeros(*like_RBH.shape[:2], self.heads * K * V),)

    def rest(self, p: Parameters, gates_RTBG: Tensor, state: State) -> State:
        """The parts of the state beside S after each step, (R, T, B, ...) each; `state` is the state before them."""
        return ()

    def prepared(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """The gates that `terms`, `queries` and `outputs` receive; by default those of `project`."""
        return gates_RTBG

    @abstractmethod
    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """The terms of all steps, given the state before them and the `rest` after each."""

    @abstractmethod
    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """q of all steps, (R, T, B, N, K), given the `rest` after each."""

    def outputs(self, p: Parameters, gates_RTBG: Tensor, read_RTBNV: Tensor, rest: State) -> Tensor:
        """The outputs of all steps, (R, T, B, H), given S' q and the `rest`; by default the heads side by side."""
        return read_RTBNV.flatten(3)

    def scan(self, p: Parameters, gates_RTBG: Tensor, state: State, recurrence: Recurrence) -> tuple[Tensor, State]:
        """Outputs and last state; `recurrence` computes S' q of all steps and the last S, as `matrix_states` does."""
        rest = self.rest(p, gates_RTBG, state)
        gates_RTBG = self.prepared(p, gates_RTBG, rest)
        terms, q = self.terms(p, gates_RTBG, state, rest), self.queries(p, gates_RTBG, rest)
        start = self.heads_of(state[0], q.shape[-1])
        read, last = recurrence(terms.w, terms.k, terms.v, q, start, terms.a, terms.b)
        outputs = self.outputs(p, gates_RTBG, read, rest)
        return outputs, (last.flatten(2), *(part[:, -1] for part in rest))

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        return self.scan(p, gates_RTBG, state, matrix_states)

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]

    @override
    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        rest = tuple(part.unsqueeze(1) for part in state[1:])
        gates_RTBG = self.prepared(p, gates_RBG.unsqueeze(1), rest)
        q = self.queries(p, gates_RTBG, rest)
        read = q.unsqueeze(-2) @ self.heads_of(state[0], q.shape[-1]).unsqueeze(1)
        return self.outputs(p, gates_RTBG, read.squeeze(-2), rest).squeeze(1)

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds two operations for each entry of S and each product with it, and one for the decay."""
        K, V = self.matrix(hidden)
        products = 4 if self.rank_one else 2
        return super().flops(inputs, hidden) + self.heads * K * V * (2 * products + self.decays)

    def split(self, x_RTBH: Tensor) -> Tensor:
        """One row for each head: (R, T, B, N, H / N)."""
        return x_RTBH.view(*x_RTBH.shape[:-1], self.heads, -1)

    def heads_of(self, state_RBS: Tensor, K: int) -> Tensor:
        """The matrices of a state, (R, B, N, K, V)."""
        return state_RBS.reshape(*state_RBS.shape[:2], self.heads, K, -1)


def matrix_states(
    w: Tensor, k: Tensor, v: Tensor, q: Tensor, state: Tensor, a: Tensor | None = None, b: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """S' q of all steps, (R, T, B, N, V), and the last S, (R, B, N, K, V), computed step by step from the `Terms`."""
    reads = []
    for t in range(k.shape[1]):
        new = w[:, t].unsqueeze(-1) * state + k[:, t].unsqueeze(-1) @ v[:, t].unsqueeze(-2)
        if a is not None and b is not None:
            new = new + b[:, t].unsqueeze(-1) @ (a[:, t].unsqueeze(-2) @ state)
        state = new
        reads.append((q[:, t].unsqueeze(-2) @ state).squeeze(-2))
    return torch.stack(reads, 1), state


def unit(x: Tensor) -> Tensor:
    """Rows divided by their lengths; 1e-6 is added to the squared length, so that the slope at 0 is finite."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def drawn_decays(heads: int, rng: np.random.Generator, lowest: float) -> dict[str, Array]:
    """The published start of Mamba-2's decay exp(-exp(A_log) softplus(W x + dt_bias)), one for each head.

    exp(A_log) is uniform from `lowest` to 16, and softplus(dt_bias) log-uniform from 0.001 to 0.1.
    """
    dt_bias = softplus_inverse(np.exp(log_uniform(heads, rng)))
    return {"A_log": np.log(rng.uniform(lowest, 16, size=heads)), "dt_bias": dt_bias}
