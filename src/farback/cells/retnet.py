"""The retention of RetNet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Parameters, State
from farback.cells.support.matrix_state import MatrixStateCell, Recurrence, Terms


class RetNet(MatrixStateCell):
    """Linear attention with a fixed decay for each head, and with keys and queries that rotate with time.

    q, k, v = W_q x_t, W_k x_t, W_v x_t
    S_t = gamma Rotation S_{t-1} + k v'
    y_t = S_t' q / sqrt(K)

    for each of N heads, where K = V = H / N; gamma = 1 - 2^(-5-n) in head n = 0, 1, ... The matrix Rotation turns each
    pair of rows j and j + K/2 by the angle -10000^(-2j/K); if K is odd, the last row is not rotated. The publication
    rotates q_t and k_t by t such angles instead, which gives the same outputs, since only differences of angles
    matter. S has H^2 / N numbers, initially zero; the layer above sees the heads' outputs side by side. The rows of
    `weight_ih` are W_q, W_k and W_v.

    Source: Sun et al. 2023 (2307.08621); equations checked in flash-linear-attention, fla/ops/retention/naive.py and
    fla/layers/multiscale_retention.py. Deviations: the initialisation draws all weights; the gate and the norm of the
    outputs and the output projection are not part of the cell; one head by default, because published heads have 256
    units; V is K, where published heads have V = 2 K.
    """

    known_as: ClassVar[str] = "RetNet"
    published_block: ClassVar[Mapping[str, object]] = {"norm": "layer", "residual": True, "gate": "silu", "mlp": 2}
    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v")

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for q, k and v."""
        return {"weight_ih": (3 * hidden, inputs)}

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """gamma, and k v'."""
        _, k, v = gates_RTBG.chunk(3, -1)
        head_N1 = torch.arange(self.heads, dtype=k.dtype, device=k.device).unsqueeze(-1)
        gamma = (1 - torch.exp2(-5 - head_N1)).expand(*k.shape[:-1], -1, 1)
        return Terms(gamma, self.split(k), self.split(v))

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """q / sqrt(K)."""
        q = self.split(gates_RTBG.chunk(3, -1)[0])
        return q / math.sqrt(q.shape[-1])

    @override
    def scan(self, p: Parameters, gates_RTBG: Tensor, state: State, recurrence: Recurrence) -> tuple[Tensor, State]:
        """Rotates q and k of step t by t angles, as published, and at the end S by minus T angles."""

        def rotating(w: Tensor, k: Tensor, v: Tensor, q: Tensor, start: Tensor, *none: None) -> tuple[Tensor, Tensor]:
            step_T = torch.arange(1, k.shape[1] + 1, dtype=torch.float64, device=k.device)
            turn_T11K = _angles(step_T, k.shape[-1])[:, None, None]
            read, last = recurrence(w, _rotated(k, turn_T11K), v, _rotated(q, turn_T11K), start)
            back_K = -turn_T11K[-1, 0, 0]
            return read, _rotated(last.mT, back_K).mT

        return super().scan(p, gates_RTBG, state, rotating)


def _angles(step_T: Tensor, K: int) -> Tensor:
    """The angles of the pairs of rows at these steps, (T, K / 2), in double precision."""
    theta = 10000.0 ** (torch.arange(K // 2, dtype=torch.float64, device=step_T.device) * (-2 / K))
    return step_T.unsqueeze(-1) * theta


def _rotated(x: Tensor, angle: Tensor) -> Tensor:
    """The pairs of entries in the last axis, rotated."""
    half = angle.shape[-1]
    cos, sin = torch.cos(angle).to(x.dtype), torch.sin(angle).to(x.dtype)
    first, second, other = torch.split(x, [half, half, x.shape[-1] - 2 * half], -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos, other], -1)
