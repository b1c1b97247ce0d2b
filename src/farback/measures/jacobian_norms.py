"""Jacobian norms: how the derivative of the last state by an earlier state grows or shrinks with their distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from farback.measures.base import MeasureRow, curve_rows
from farback.measures.support.decay_curve import TRANSIENT, Curve, Window, curve
from farback.measures.support.jacobians import (
    LARGEST_STATE,
    StateMeasure,
    jacobian_blocks,
    rows_times_jacobian,
    state_trajectory,
)
from farback.measures.support.own_mode import own_mode
from farback.measures.support.system import System
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task

Kind = Literal["spectral", "frobenius"]
PROBES = 64  # random rows used to estimate the norm when the state is too large for whole Jacobians


@dataclass(frozen=True)
class JacobianNorms(Curve):
    """Norms of J_k = dh_T / dh_{T-k} of the full state; see `Curve`. J_0 is the identity.

    Attributes:
        kind: "spectral", the largest singular value, or "frobenius", the root of the sum of squared singular values.
        error: upper bound of the standard deviation of `log_norm` from using random rows; 0 if exact.
    """

    kind: str
    error: float


@own_mode()
def jacobian_norms(
    system: Any,
    inputs: Any,
    kind: Kind = "spectral",
    *,
    window: Window = (TRANSIENT, None),
    seed: int = 0,
) -> JacobianNorms:
    """The norms ||dh_T / dh_{T-k}|| for k = 0 to T - 1: their mean logarithm over sequences, in double precision.

    The products of Jacobians are rescaled at every step, so they neither overflow nor underflow at large lags. The
    result is exact for full states of up to 512 numbers (all layers, and h and c of an LSTM). For larger states the
    Frobenius norm is estimated from 64 random orthogonal rows; the relative variance of its square is at most 2 / 64
    per sequence.

    Args:
        system: see `farback.measures.support.system`; it must be able to resume from a state.
        inputs: (T, I) or (B, T, I), tensor or array.
        window: first and last lag of the fits.
        seed: the seed of the random rows that are used for large states.

    Raises:
        ValueError: an unknown kind, fewer than two steps, a system that cannot resume from a state, or a spectral norm
            of a state that is too large.

    Source: Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013 (1211.5063).
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; choose from {', '.join(get_args(Kind))}")
    wrapped, x_BTI, state_BTS = state_trajectory(system, inputs)
    B, _, S = state_BTS.shape
    if S <= LARGEST_STATE:
        log_norm_BK, error = _exact(wrapped, x_BTI, state_BTS, [kind])[kind], 0.0
    elif kind == "frobenius":
        log_norm_BK, error = _estimated(wrapped, x_BTI, state_BTS, seed), math.sqrt(1 / (2 * PROBES * B))
    else:
        raise ValueError(
            f"the full state has {S} numbers; spectral norms are computed for at most {LARGEST_STATE}: use "
            "kind='frobenius', which is estimated"
        )
    return JacobianNorms(**curve(log_norm_BK.numpy(), window), kind=kind, error=error)


def _exact(system: System, x_BTI: Tensor, state_BTS: Tensor, kinds: Sequence[str]) -> dict[str, Tensor]:
    """The logarithms of the norms of all products, (B, T), for each kind."""
    B, _, S = state_BTS.shape
    product_BSS, scale_B = torch.eye(S, dtype=state_BTS.dtype).expand(B, S, S), state_BTS.new_zeros(B)
    logs = {kind: [_log_norm(product_BSS, kind)] for kind in kinds}
    for J_BtSS in jacobian_blocks(system, x_BTI, state_BTS, backwards=True):
        for J_BSS in J_BtSS.unbind(1):
            product_BSS, scale_B = _rescaled(product_BSS @ J_BSS, scale_B)
            for kind in kinds:
                logs[kind].append(scale_B + _log_norm(product_BSS, kind))
    return {kind: torch.stack(values, 1) for kind, values in logs.items()}


def _rescaled(product_BMS: Tensor, scale_B: Tensor) -> tuple[Tensor, Tensor]:
    """Divide by the largest entry and add its logarithm to the scale; zero and non-finite products stay unchanged."""
    largest_B = product_BMS.abs().amax((1, 2))
    largest_B = torch.where((largest_B > 0) & torch.isfinite(largest_B), largest_B, 1.0)
    return product_BMS / largest_B[:, None, None], scale_B + largest_B.log()


def _log_norm(matrix_BSS: Tensor, kind: str) -> Tensor:
    """The logarithm of a norm, (B,): -inf for a zero matrix, nan or inf for a matrix that is not finite."""
    frobenius_B = matrix_BSS.square().sum((1, 2)).log() / 2
    if kind == "frobenius":
        return frobenius_B
    finite_B = torch.isfinite(frobenius_B)
    finite_BSS = torch.where(finite_B[:, None, None], matrix_BSS, 0.0)
    # the largest eigenvalue of J'J is exact up to rounding, and much faster than a singular value decomposition
    largest_B = torch.linalg.eigvalsh(finite_BSS.mT @ finite_BSS)[:, -1]
    return torch.where(finite_B, largest_B.log() / 2, frobenius_B)


def _estimated(system: System, x_BTI: Tensor, state_BTS: Tensor, seed: int) -> Tensor:
    """Estimated logarithms of Frobenius norms, (B, T), from random orthogonal rows times the products."""
    B, T, S = state_BTS.shape
    normal_BSM = torch.from_numpy(stream(seed, "projections").standard_normal((B, S, PROBES)))
    rows_BMS = (torch.linalg.qr(normal_BSM)[0].mT * math.sqrt(S / PROBES)).to(state_BTS.dtype)
    scale_B = rows_BMS.new_zeros(B)
    logs = [_log_norm(rows_BMS, "frobenius")]
    for step in reversed(range(T - 1)):
        rows_BMS = rows_times_jacobian(system, x_BTI[:, step + 1], state_BTS[:, step], rows_BMS)
        rows_BMS, scale_B = _rescaled(rows_BMS, scale_B)
        logs.append(scale_B + _log_norm(rows_BMS, "frobenius"))
    return torch.stack(logs, 1)


class JacobianNormsMeasure(StateMeasure):
    """Norms of dh_T / dh_{T-k} of the full state along sequences of the task.

    Source: Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013 (1211.5063).
    """

    @own_mode()
    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are `frobenius_log10` and, for states of up to 512 numbers, `spectral_log10`, for each lag."""
        inputs = self.inputs(network, task, seed)
        if inputs is None:
            return []
        system, x_BTI, state_BTS = state_trajectory(network, inputs)
        if state_BTS.shape[-1] <= LARGEST_STATE:
            logs = _exact(system, x_BTI, state_BTS, get_args(Kind))
        else:
            logs = {"frobenius": _estimated(system, x_BTI, state_BTS, seed)}
        curves = {
            f"{kind}_log10": curve(log_norm_BK.numpy(), (TRANSIENT, None))["log_norm"] / math.log(10)
            for kind, log_norm_BK in logs.items()
        }
        return curve_rows(range(x_BTI.shape[1]), curves)
