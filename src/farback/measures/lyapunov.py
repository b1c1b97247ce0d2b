"""Lyapunov exponents: the long-run rates at which small differences between states grow or shrink."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from farback.measures.base import Floats, Lag, MeasureRow, curve_rows, summary_rows
from farback.measures.support.decay_curve import ROUNDING
from farback.measures.support.jacobians import LARGEST_STATE, StateMeasure, jacobian_blocks, state_trajectory
from farback.measures.support.own_mode import own_mode
from farback.networks.network import Network
from farback.tasks.base import Task

HUGE = 1e15  # times the largest state of 512 numbers, its square fits even into single precision


@dataclass(frozen=True)
class Lyapunov:
    """Lyapunov exponents in nats per step.

    Attributes:
        exponents: mean over sequences, largest first. -inf for a direction in which differences become exactly zero,
            or smaller than double precision resolves, in one step; nan if the states are not finite.
        each: the exponents of each sequence, (B, N).
        steps: number of steps averaged over.
    """

    exponents: Floats
    each: Floats
    steps: int

    @property
    def largest(self) -> float:
        """The long-run rate at which a gradient grows (above 0) or vanishes (below 0)."""
        return float(self.exponents[0])

    @property
    def tau_max(self) -> float:
        """-1 / largest, the longest time constant in steps: inf if the largest exponent is 0, nan if it is above 0."""
        if self.largest > ROUNDING or math.isnan(self.largest):
            return math.nan
        return math.inf if self.largest > -ROUNDING else -1 / self.largest


@own_mode()
def lyapunov(system: Any, inputs: Any, count: int | None = None, *, burn_in: int = 0) -> Lyapunov:
    """Lyapunov exponents of the full state along given inputs, by QR decomposition in double precision.

    Q_0 = I; at each step J_t Q_{t-1} = Q_t R_t; exponent i is the mean of ln |R_t,ii| over steps. T steps of input give
    T - 1 Jacobians, one between each pair of consecutive steps.

    Args:
        system: see `farback.measures.support.system`; it must be able to resume from a state.
        inputs: (T, I) or (B, T, I), tensor or array. Use long sequences: the exponents are long-run rates.
        count: number of exponents, largest first; all by default.
        burn_in: number of Jacobians to skip at the start, while state and directions settle.

    Raises:
        ValueError: fewer than two steps, an impossible count or burn-in, a system that cannot resume from a state, or a
            full state of more than 512 numbers.

    Source: Benettin et al. 1980; Vogt et al. 2020 (2006.14123) and Engelken et al. 2020 (2006.02427) for networks.
    """
    wrapped, x_BTI, state_BTS = state_trajectory(system, inputs)
    B, T, S = state_BTS.shape
    if S > LARGEST_STATE:
        raise ValueError(f"the full state has {S} numbers; Lyapunov exponents are computed for at most {LARGEST_STATE}")
    if count is not None and not 1 <= count <= S:
        raise ValueError(f"count must be between 1 and {S}, the size of the full state; got {count}")
    if not 0 <= burn_in < T - 1:
        raise ValueError(f"burn_in must be below {T - 1}, the number of Jacobians of {T} steps; got {burn_in}")
    Q_BSN = torch.eye(S, dtype=state_BTS.dtype)[:, : count or S].expand(B, S, -1)
    total_BN = torch.zeros(B, Q_BSN.shape[-1], dtype=state_BTS.dtype)
    step = 0
    for J_BtSS in jacobian_blocks(wrapped, x_BTI, state_BTS, backwards=False):
        for J_BSS in J_BtSS.unbind(1):
            scale_B11 = _scale(J_BSS)
            product_BSN = (J_BSS / scale_B11) @ Q_BSN
            Q_BSN, R_BNN = torch.linalg.qr(product_BSN)
            stretch_BN = R_BNN.diagonal(dim1=1, dim2=2).abs()
            # below this size a diagonal entry is the rounding error of the whole product
            resolution_B1 = torch.finfo(stretch_BN.dtype).eps * product_BSN.norm(dim=(1, 2)).unsqueeze(1)
            stretch_BN = torch.where(stretch_BN <= resolution_B1, 0.0, stretch_BN)
            if step >= burn_in:
                total_BN += stretch_BN.log() + scale_B11[:, 0].log()
            step += 1
    each_BN = (total_BN / (T - 1 - burn_in)).sort(1, descending=True).values.numpy()
    return Lyapunov(each_BN.mean(0), each_BN, T - 1 - burn_in)


def _scale(J_BSS: Tensor) -> Tensor:
    """What each Jacobian is divided by, (B, 1, 1): 1 unless squares of its entries would overflow or vanish."""
    largest_B11 = J_BSS.abs().amax((1, 2), keepdim=True)
    extreme = ((largest_B11 > HUGE) | (largest_B11 < 1 / HUGE)) & (largest_B11 > 0) & torch.isfinite(largest_B11)
    return torch.where(extreme, largest_B11, 1.0)


class LyapunovMeasure(StateMeasure):
    """Lyapunov exponents along sequences of the task. If the training lag is short, set `length` to a larger lag.

    Source: Benettin et al. 1980; Vogt et al. 2020 (2006.14123) and Engelken et al. 2020 (2006.02427) for networks.
    """

    count: Annotated[int, Field(ge=1, le=LARGEST_STATE)] | None = None
    burn_in: Lag = 0

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are `exponent`, with its rank (from 0) in place of the lag, and `largest` and `tau_max` without."""
        x_BTI = self.inputs(network, task, seed)
        if x_BTI is None:
            return []
        size = network.architecture.state_count
        spectrum = lyapunov(network, x_BTI, min(self.count or size, size), burn_in=self.burn_in)
        rows = curve_rows(range(len(spectrum.exponents)), {"exponent": spectrum.exponents})
        return rows + summary_rows(largest=spectrum.largest, tau_max=spectrum.tau_max)

    def check(self, task: Task) -> None:
        """The burn-in must be shorter than the sequences."""
        super().check(task)
        steps = self.sample(task, 0).input_BTI.shape[1] if self.burn_in else 0
        if self.burn_in and self.burn_in >= steps - 1:
            raise ValueError(f"burn_in is {self.burn_in}, but sequences of {steps} steps have {steps - 1} Jacobians")
