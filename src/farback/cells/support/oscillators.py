"""The base class of cells of linear oscillators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Cell, Parameters, State, linear
from farback.kernels.unroll import Kernel, ScanKernel


class OscillatorCell(Cell):
    """H complex oscillators with position x and velocity z.

    z_t = (z_{t-1} - dt A x_{t-1} + dt B u_t) / (1 + dt G)
    x_t = x_{t-1} + dt z_t
    y_t = Re(C x_t) + D u_t
    """

    kernel: ClassVar[Kernel] = ScanKernel("oscillator")
    state_parts: ClassVar[int] = 2  # z and x, with the real parts of all oscillators before the imaginary parts
    gates: ClassVar[tuple[str, ...]] = ("re", "im", "skip")
    published_block: ClassVar[Mapping[str, object]] = {"norm": "layer", "residual": True}

    @abstractmethod
    def constants(self, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        """A, G and dt of each oscillator, (R, H) each."""

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for B and D, two weights for C."""
        return {"weight_ih": (3 * hidden, inputs), "weight_re": (hidden, hidden), "weight_im": (hidden, hidden)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds 16 operations for each complex oscillator: four products, each with an addition, for both parts."""
        return super().flops(inputs, hidden) + 16 * hidden

    @override
    def state_width(self, hidden: int) -> int:
        return 2 * hidden

    @override
    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        return linear(x_RTBI, p["weight_ih"], None)

    def fused(self, p: Parameters, gates_RTBG: Tensor, state: State, scan: Callable[..., Any]) -> tuple[Tensor, State]:
        """Outputs and last state; `scan` computes x of all steps and the last z."""
        A, G, dt = self.constants(p)
        scale = 1 / (1 + dt * G)
        write_R111H = (dt * scale)[:, None, None, None]
        force_RTBKH = write_R111H * _pairs(gates_RTBG[..., : 2 * A.shape[-1]])
        z_RBKH, x_RBKH = (_pairs(part) for part in state)
        x_RTBKH, last_RBKH = scan(scale, dt * scale * A, dt, force_RTBKH, z_RBKH, x_RBKH)
        return self.outputs(p, gates_RTBG, x_RTBKH), (last_RBKH.flatten(-2), x_RTBKH[:, -1].flatten(-2))

    def outputs(self, p: Parameters, gates_RTBG: Tensor, x_RTBKH: Tensor) -> Tensor:
        """The outputs of all steps, given the positions after them."""
        read = linear(x_RTBKH[..., 0, :], p["weight_re"], None) - linear(x_RTBKH[..., 1, :], p["weight_im"], None)
        return read + gates_RTBG.chunk(3, -1)[2]

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        return self.fused(p, gates_RTBG, state, positions)

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]

    @override
    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        return self.outputs(p, gates_RBG.unsqueeze(1), _pairs(state[1]).unsqueeze(1)).squeeze(1)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln of the geometric mean of the moduli of an oscillator's two eigenvalues, of product 1 / (1 + dt G)."""
        _, G, dt = self.constants(p)
        return (-0.5 * torch.log1p(dt * G)).unsqueeze(1).expand(-1, state[0].shape[1], -1)


def _pairs(values: Tensor) -> Tensor:
    """Real parts and imaginary parts, (..., 2, H), from (..., 2 H)."""
    return values.reshape(*values.shape[:-1], 2, -1)


def positions(
    p_RH: Tensor, q_RH: Tensor, d_RH: Tensor, f_RTBKH: Tensor, z_RBKH: Tensor, x_RBKH: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence of `farback.kernels.oscillator`, computed step by step."""
    p, q, d = (part[:, None, None] for part in (p_RH, q_RH, d_RH))
    states = []
    for f_RBKH in f_RTBKH.unbind(1):
        z_RBKH = p * z_RBKH - q * x_RBKH + f_RBKH
        x_RBKH = x_RBKH + d * z_RBKH
        states.append(x_RBKH)
    return torch.stack(states, 1), z_RBKH
