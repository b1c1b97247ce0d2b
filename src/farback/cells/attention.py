"""Softmax attention over the last steps, or over all steps so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Cell, Parameters, State, linear
from farback.cells.support.heads import check_heads
from farback.kernels.unroll import product

LONGEST = 64  # steps of a window that are computed at once, if the window is shorter
NUMBERS = 2**23  # most scores of a sequence batch at once: 32 MB in single precision


class Attention(Cell):
    """Multi-head softmax attention over the last `window` steps including the present one; by default over all so far.

    q_t, k_t, v_t = W_ih x_t + b_ih, in `heads` parts of d = H / heads numbers each
    o_t = sum_j softmax_j(q_t . R(j - t) k_j / sqrt d) v_j,  t - window < j <= t
    h_t = W_out [o_t of all heads]

    R is the rotation of rotary positions: in each head, number i and number i + d // 2 are turned by the angle
    (j - t) 10000^(-2i / d), so that only distances count. If d is odd, the last number of a head is not turned.

    With a window W the state is W keys and W values, 2 W H numbers, the newest last. An answer depends on the last W
    inputs and on nothing older, so one layer has a horizon of exactly W - 1. Slots before the first step hold zeros and
    are left out; a value that is itself all zeros is stored with the smallest normal number in place of a zero.
    Without a window the state is the keys and values of all steps and grows with every step. `match: {state: ...}` then
    counts 2 (lag + 1) H numbers, and the FLOPs are those of the last of lag + 1 steps.

    Source: Vaswani et al. 2017 (1706.03762); Su et al. 2021 (2104.09864) for the rotary positions, in the half-split
    layout of GPT-NeoX and Llama. The published block is that of Xiong et al. 2020 (2002.04745), with a gated MLP.
    None of these texts was read. Deviations: W_out has no bias; one head by default, because published heads have 64
    units or more; no norm before the readout.
    """

    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v")
    published_block: ClassVar[Mapping[str, object]] = {"norm": "layer", "residual": True, "mlp": 2}

    window: Annotated[int, Field(ge=1, le=100_000)] | None = None
    heads: Annotated[int, Field(ge=1, le=256)] = 1

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Queries, keys and values in `weight_ih` and `bias_ih`; `weight_out` mixes the heads."""
        return {**super().parameters(inputs, hidden), "weight_out": (hidden, hidden)}

    def check(self, hidden: int, inputs: int) -> None:
        """H must be a multiple of the number of heads."""
        check_heads(hidden, self.heads)

    @override
    def at_length(self, steps: int) -> Cell:
        return self if self.window else self.model_copy(update={"window": steps})

    @property
    @override
    def growing(self) -> str:
        if self.window:
            return ""
        return (
            "attention without a window keeps every step, so its state has no fixed size: give it a window, such as "
            "cell: {name: attention, window: 64}"
        )

    @property
    @override
    def unlearnable(self) -> str:
        return self.growing or "attention starts from an empty window: leave initial_state out"

    @override
    def flops(self, inputs: int, hidden: int) -> int:
        return super().flops(inputs, hidden) + 4 * (self.window or 1) * hidden

    @override
    def kept(self, hidden: int, steps: int) -> int:
        reached = steps if self.window is None else self.window + max(self.window, LONGEST)
        return super().kept(hidden, steps) + 3 * self.heads * min(steps, reached) + 6 * hidden

    @override
    def zero(self, like_RBH: Tensor) -> State:
        R, B, H = like_RBH.shape
        return tuple(like_RBH.new_zeros(R, B, self.window or 0, H) for _ in range(2))

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """The state with the key and value of the step."""
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]

    @override
    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        q_RTBH = gates_RBG.chunk(3, -1)[0].unsqueeze(1)
        keys, values = (part_RBSH.transpose(1, 2) for part_RBSH in state)
        return linear(self._attended(q_RTBH, keys, values), p["weight_out"], None).squeeze(1)

    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Part by part, so that a window's scores are few, and few scores are in memory without a gradient."""
        q, k, v = gates_RTBG.chunk(3, -1)
        if self.window:
            empty = (v == 0).all(-1, keepdim=True)
            v = v + empty.to(v.dtype) * torch.finfo(v.dtype).tiny
        before = state[0].shape[2]
        keys, values = (torch.cat([part.transpose(1, 2), new], 1) for part, new in zip(state, (k, v), strict=True))
        T, B = q.shape[1:3]
        size = max(self.window, LONGEST) if self.window else max(1, NUMBERS // (B * self.heads * (before + T)))
        outputs = []
        for start in range(0, T, size):
            end = min(start + size, T)
            first = before + start + 1 - self.window if self.window else 0
            span = slice(max(0, first), before + end)
            outputs.append(self._attended(q[:, start:end], keys[:, span], values[:, span]))
        output_RTBH = linear(torch.cat(outputs, 1), p["weight_out"], None)
        kept = keys.shape[1] - (self.window or keys.shape[1])
        return output_RTBH, tuple(part[:, kept:].transpose(1, 2) for part in (keys, values))

    def _attended(self, q_RTBH: Tensor, k_RSBH: Tensor, v_RSBH: Tensor) -> Tensor:
        """The attention of T queries to S keys and values, of which the last T belong to the steps of the queries."""
        R, T, B, H = q_RTBH.shape
        S, d, N = k_RSBH.shape[1], H // self.heads, R * B * self.heads
        age_TS = torch.arange(S - T, S, device=q_RTBH.device)[:, None] - torch.arange(S, device=q_RTBH.device)
        seen_TS = age_TS >= 0
        if self.window:
            filled_RBS = (v_RSBH != 0).any(-1).transpose(1, 2)
            seen = (seen_TS & (age_TS < self.window)) & filled_RBS[:, :, None, None, :]
        else:
            seen = seen_TS
        q_NTd, k_NSd = self._turned(self._by_head(q_RTBH), S - T), self._turned(self._by_head(k_RSBH), 0)
        scores = product(q_NTd, k_NSd, None).reshape(R, B, self.heads, T, S) / math.sqrt(d)
        scores = torch.where(seen, scores, -math.inf)
        shares = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
        shares = shares / shares.sum(-1, keepdim=True)
        output_NTd = product(shares.reshape(N, T, S), self._by_head(v_RSBH).transpose(1, 2), None)
        return output_NTd.reshape(R, B, self.heads, T, d).permute(0, 3, 1, 2, 4).reshape(R, T, B, H)

    def _by_head(self, x_RTBH: Tensor) -> Tensor:
        """(R * B * heads, T, d)."""
        R, T, B, _ = x_RTBH.shape
        return x_RTBH.reshape(R, T, B, self.heads, -1).permute(0, 2, 3, 1, 4).reshape(R * B * self.heads, T, -1)

    def _turned(self, x_NTd: Tensor, first: int) -> Tensor:
        """Each number turned with its partner, by angles in proportion to the step; the first step is `first`."""
        (_, T, d), half = x_NTd.shape, x_NTd.shape[2] // 2
        step_T = torch.arange(first, first + T, device=x_NTd.device, dtype=torch.float64)
        rate_i = 10_000.0 ** (-2 * torch.arange(half, device=x_NTd.device, dtype=torch.float64) / d)
        angle_Ti = torch.outer(step_T, rate_i)
        cos_Ti, sin_Ti = (part.to(x_NTd.dtype) for part in (torch.cos(angle_Ti), torch.sin(angle_Ti)))
        a, b, rest = torch.split(x_NTd, [half, half, d - 2 * half], 2)
        return torch.cat([a * cos_Ti - b * sin_Ti, a * sin_Ti + b * cos_Ti, rest], 2)
