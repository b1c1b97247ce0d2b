"""The matrix-to-matrix recurrent network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Parameters, State, SteppedCell, log_sigmoid, product, sigmoid
from farback.cells.support.heads import check_heads
from farback.kernels.unroll import Kernel, ScanKernel


class M2RNN(SteppedCell):
    """The matrix-to-matrix RNN: a nonlinear recurrence of a matrix for each head.

    q, k, v, f = W_ih x_t + b_ih; q and k have `key` entries for each head, v has V = H / heads, f has one
    S_t = F * S_{t-1} + (1 - F) * tanh(S_{t-1} W' + k v'), F = sigmoid(f), a matrix of `key` rows and V columns
    y_t = S_t' q

    Each head has its own W, V rows of `weight_hh`. The state has key * H numbers; the layer above sees the y of all
    heads, H numbers.

    Source: Mishra et al. 2026 (2603.14360), read as its code, open-lm-engine/accelerated-model-architectures,
    xma/layers/m2rnn/torch_implementation.py and module.py; of the paper only the abstract was read. Deviations: their
    code takes F as given, here it is a sigmoid; the initialisation draws W, theirs is standard normal; every head has a
    q, k, v and f of its own, theirs may share them; no clipping of the gradient of S; the published layer's convolution
    and output layer are not part of the cell.
    """

    known_as: ClassVar[str] = "M2RNN"
    kernel: ClassVar[Kernel] = ScanKernel("matrix_to_matrix")
    gates: ClassVar[tuple[str, ...]] = ("h",)
    published_block: ClassVar[Mapping[str, object]] = {"norm": "rms", "residual": True, "conv": 4}

    heads: Annotated[int, Field(ge=1, le=1024)] = 1
    key: Annotated[int, Field(ge=1, le=1024)] = 16

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """A weight and a bias for q, k, v and f, and W."""
        rows = (2 * self.key + 1) * self.heads + hidden
        return {"weight_ih": (rows, inputs), "weight_hh": (hidden, hidden // self.heads), "bias_ih": (rows,)}

    def check(self, hidden: int, inputs: int) -> None:
        """H must be a multiple of the number of heads."""
        check_heads(hidden, self.heads)

    def flops(self, inputs: int, hidden: int) -> int:
        """W is used once for each row of S; adds 8 for each entry of S: products with k, F, 1 - F and q."""
        again = 2 * (self.key - 1) * hidden * (hidden // self.heads)
        return super().flops(inputs, hidden) + again + 8 * self.key * hidden

    @override
    def kept(self, hidden: int, steps: int) -> int:
        return 3 * hidden + 2 * self.key * (hidden + 2 * self.heads)

    def zero(self, like_RBH: Tensor) -> State:
        """S of all heads, (R, B, heads, key, V)."""
        R, B, H = like_RBH.shape
        return (like_RBH.new_zeros(R, B, self.heads, self.key, H // self.heads),)

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (S_RBNKV,) = state
        R, B, N, K, V = S_RBNKV.shape
        _, k, v, f = self._split(gates_RBG)
        flat = S_RBNKV.transpose(1, 2).reshape(R * N, B * K, V)
        mixed = product(flat, p["weight_hh"].reshape(R * N, V, V), None).view(R, N, B, K, V).transpose(1, 2)
        new = torch.tanh(mixed + k.unsqueeze(-1) * v.unsqueeze(-2))
        keep = sigmoid(f)[..., None, None]
        return (keep * S_RBNKV + (1 - keep) * new,)

    @override
    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        return (self._split(gates_RBG)[0].unsqueeze(-1) * state[0]).sum(-2).flatten(-2)

    def fused(self, p: Parameters, gates_RTBG: Tensor, state: State, scan: Callable[..., Any]) -> tuple[Tensor, State]:
        """Outputs of all steps and last state; `scan` is that of `farback.kernels.matrix_to_matrix`."""
        q, k, v, f = self._split(gates_RTBG)
        w_RNVV = p["weight_hh"].reshape(len(gates_RTBG), self.heads, *2 * (state[0].shape[-1],))
        o_RTBNV, last = scan(sigmoid(f), k, v, q, w_RNVV, state[0])
        return o_RTBNV.flatten(-2), (last,)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln F of each head."""
        return log_sigmoid(self._split(gates_RBG)[3])

    def _split(self, gates_RBG: Tensor) -> list[Tensor]:
        """q, k and v of each head, and f."""
        keys, N = self.key * self.heads, self.heads
        q, k, v, f = torch.split(gates_RBG, [keys, keys, gates_RBG.shape[-1] - 2 * keys - N, N], -1)
        return [*(part.reshape(*part.shape[:-1], N, -1) for part in (q, k, v)), f]
