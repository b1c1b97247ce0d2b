"""How the derivative of the last state by an earlier one grows or falls with the steps between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from farback.measures.base import Row, Sampled, Untrained
from farback.measures.support.decay_curve import TRANSIENT, Curve, curve
from farback.measures.support.jacobians import LARGEST, blocks, pulled, run
from farback.measures.support.system import System
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task

Kind = Literal["spectral", "frobenius"]
PROBES = 64  # rows followed where a state is too large to take its Jacobians whole


@dataclass(frozen=True)
class JacobianNorms(Curve):
    """Norms of J_k = dh_T / dh_{T-k} of the full state; see `Curve`. J_0 is the identity.

    Attributes:
        kind: "spectral", the largest singular value, or "frobenius", the root of the sum of their squares.
        error: standard deviation of `log_norm` that comes from following some rows only (at most); 0 where exact.
    """

    kind: str
    error: float


def jacobian_norms(
    system: Any,
    inputs: Any,
    kind: Kind = "spectral",
    *,
    window: tuple[int, int | None] = (TRANSIENT, None),
    seed: int = 0,
) -> JacobianNorms:
    """||dh_T / dh_{T-k}|| for k = 0 to T - 1: mean of logarithms over sequences, in double precision.

    The products of the steps' Jacobians are rescaled as they are formed, so no lag is too far for a float. They are
    exact for full states of up to 512 numbers (the full state of an LSTM is h and c of all layers). For larger states
    the Frobenius norm is estimated from 64 random orthogonal rows, with a relative variance of its square of at most
    2 / 64 a sequence.

    Args:
        system: see `farback.measures.support.system`; it must be possible to carry it on from a state.
        inputs: (T, I) or (B, T, I), tensor or array.
        kind: "spectral" or "frobenius".
        window: first and last lag of the fits.
        seed: of the rows, where the state is large.

    Raises:
        ValueError: an unknown kind, fewer than two steps, a system that cannot be carried on, or a spectral norm of a
            state that is too large.

    Source: Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013 (1211.5063).
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; choose from {', '.join(get_args(Kind))}")
    face, x_BTI, state_BTS = run(system, inputs)
    B, _, S = state_BTS.shape
    if S <= LARGEST:
        logs, error = _exact(face, x_BTI, state_BTS, [kind])[kind], 0.0
    elif kind == "frobenius":
        logs, error = _sketched(face, x_BTI, state_BTS, seed), math.sqrt(1 / (2 * PROBES * B))
    else:
        raise ValueError(
            f"the full state has {S} numbers, and spectral norms are computed up to {LARGEST}: ask for "
            "kind='frobenius', which is estimated, or for lyapunov(system, inputs, 1)"
        )
    return _norms(logs, kind, error, window)


def _norms(log_norm_BK: Tensor, kind: str, error: float, window: tuple[int, int | None]) -> JacobianNorms:
    return JacobianNorms(**curve(log_norm_BK.numpy(), window), kind=kind, error=error)


def _exact(face: System, x_BTI: Tensor, state_BTS: Tensor, kinds: Sequence[str]) -> dict[str, Tensor]:
    """Logarithms of the norms of all products, (B, T), for each kind."""
    B, _, S = state_BTS.shape
    identity_BSS = torch.eye(S, dtype=state_BTS.dtype).expand(B, S, S)
    logs: dict[str, list[Tensor]] = {kind: [_log(identity_BSS, kind)] for kind in kinds}
    for scale_B, product_BSS in _products(blocks(face, x_BTI, state_BTS, backwards=True), identity_BSS):
        for kind in kinds:
            logs[kind].append(scale_B + _log(product_BSS, kind))
    return {kind: torch.stack(values, 1) for kind, values in logs.items()}


def _products(parts: Iterator[Tensor], product_BSS: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """J_T, J_T J_{T-1}, ...: the logarithm of a scale, and the product divided by it."""
    scale_B = product_BSS.new_zeros(len(product_BSS))
    for J_BtSS in parts:
        for J_BSS in J_BtSS.unbind(1):
            product_BSS, scale_B = _scaled(product_BSS @ J_BSS, scale_B)
            yield scale_B, product_BSS


def _scaled(product_BMS: Tensor, scale_B: Tensor) -> tuple[Tensor, Tensor]:
    """Divided by its largest entry, whose logarithm joins the scale; nothing, and no number, stays as it is."""
    largest_B = product_BMS.abs().amax((1, 2))
    largest_B = torch.where((largest_B > 0) & torch.isfinite(largest_B), largest_B, 1.0)
    return product_BMS / largest_B[:, None, None], scale_B + largest_B.log()


def _log(matrix_BSS: Tensor, kind: str) -> Tensor:
    """The logarithm of a norm, (B,); -inf for nothing, nan where there are no numbers."""
    frobenius_B = matrix_BSS.square().sum((1, 2)).log() / 2
    if kind == "frobenius":
        return frobenius_B
    finite_B = torch.isfinite(frobenius_B)
    gram_BSS = torch.where(finite_B[:, None, None], matrix_BSS, 0.0)
    # the largest eigenvalue of J'J is exact to rounding, and many times faster than singular values
    largest_B = torch.linalg.eigvalsh(gram_BSS.mT @ gram_BSS)[:, -1]
    return torch.where(finite_B, largest_B.log() / 2, frobenius_B)


def _sketched(face: System, x_BTI: Tensor, state_BTS: Tensor, seed: int) -> Tensor:
    """Estimated logarithms of Frobenius norms, (B, T), from random orthogonal rows times the products."""
    B, T, S = state_BTS.shape
    drawn = torch.from_numpy(stream(seed, "projections").standard_normal((B, S, PROBES)))
    rows_BMS = (torch.linalg.qr(drawn)[0].mT * math.sqrt(S / PROBES)).to(state_BTS.dtype)
    scale_B = rows_BMS.new_zeros(B)
    logs = [_log(rows_BMS, "frobenius")]
    for step in reversed(range(T - 1)):
        rows_BMS = pulled(face, x_BTI[:, step + 1], state_BTS[:, step], rows_BMS)
        rows_BMS, scale_B = _scaled(rows_BMS, scale_B)
        logs.append(scale_B + _log(rows_BMS, "frobenius"))
    return torch.stack(logs, 1)


class JacobianNormsMeasure(Sampled):
    """Norms of dh_T / dh_{T-k} of the full state along sequences of the task.

    Source: see `jacobian_norms`.
    """

    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 4

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows spectral_log10 and frobenius_log10 for each lag.

        None for a bidirectional network, which carries no state, and for sequences of a single step.
        """
        if network.architecture.bidirectional:
            return [[] for _ in seeds]
        return [self._rows(network.replica(index), task, seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, task: Task, seed: int) -> list[Row]:
        inputs = self.sample(task, seed).input_BTI
        if inputs.shape[1] < 2:
            return []
        face, x_BTI, state_BTS = run(network, inputs)
        if state_BTS.shape[-1] <= LARGEST:
            logs = _exact(face, x_BTI, state_BTS, get_args(Kind))
        else:
            logs = {"frobenius": _sketched(face, x_BTI, state_BTS, seed)}
        found = {kind: _norms(values, kind, 0.0, (TRANSIENT, None)).log_norm for kind, values in logs.items()}
        return [
            Row(lag, f"{kind}_log10", float(values[lag]) / math.log(10))
            for kind, values in found.items()
            for lag in range(len(values))
        ]
