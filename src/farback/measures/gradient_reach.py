"""Gradient reach: how many steps back an input can lie and still get a gradient from a loss at the last step.

Gradient reach measures credit assignment, which limits training. It does not measure memory: a latch keeps its bit for
ever although its gradient vanishes, and a growing gradient means that the network is sensitive, not that it remembers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from farback.measures.base import Floats, MeasureRow, Sampled, curve_rows, summary_rows
from farback.measures.support.callable_system import CallableSystem
from farback.measures.support.decay_curve import TRANSIENT, Curve, Window, curve
from farback.measures.support.graph_check import require_graph
from farback.measures.support.lag_selection import last_scored_step
from farback.measures.support.own_mode import own_mode
from farback.measures.support.system import System, measured
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task

STATES, PRODUCTS = 30_000_000, 4_000_000_000  # limits of the work for all projections, so that a call takes seconds
FEWEST = 16  # smallest default number of projections
CHUNK_NUMBERS = 1_000_000  # states of one backward pass, so that many projections do not need gigabytes
LAWS = ("none", "exponential", "power")

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs (B, T, O) and states (B, T, H) to one number, or one per sequence


@dataclass(frozen=True)
class GradientReach(Curve):
    """The norm g(k) of the gradient with respect to the input k steps before the readout step; see `Curve`.

    Attributes:
        error: upper bound of the standard deviation of `log_norm` from using random projections; 0 if exact.
        precision: "float64", or the precision of a callable that supports no other.
    """

    error: float
    precision: str


@own_mode()
def gradient_reach(
    system: Any,
    inputs: Any = None,
    loss: Loss | None = None,
    *,
    task: Task | None = None,
    sequences: int = 64,
    probes: int | None = None,
    window: Window = (TRANSIENT, None),
    seed: int = 0,
) -> GradientReach:
    """How the gradient of the last step decays with lag, in double precision: its mean logarithm over sequences.

    Without a loss or a task, g(k) is the Frobenius norm of the derivative of the top layer's last state by the input
    k steps before. For few units g(k) is exact; for many it is estimated from random orthogonal projections of the
    state (`error` bounds the error of the estimate). One backward pass gives all lags.

    Args:
        system: see `farback.measures.support.system`.
        inputs: (T, I) or (B, T, I), tensor or array; lags 0 to T - 1.
        loss: function of outputs (B, T, O) and states (B, T, H); returns one number per sequence, or their sum. It
            should use the last step only: a loss summed over steps mixes in shorter lags.
        task: used in place of `inputs` and `loss`: its sequences, and its loss at the last scored step of each.
        probes: number of projections. The relative variance of one sequence's g(k)^2 is at most 2 / probes; with as
            many probes as units the result is exact.
        window: first and last lag of the fits.
        seed: the seed of the task's sequences and of the projections.

    Raises:
        ValueError: not a system, inputs of the wrong shape, neither inputs nor a task, or inputs or a loss with a task;
            or a callable or a loss that depends on the inputs but leaves PyTorch's graph, as by no_grad.

    Source: Pascanu, Mikolov and Bengio 2013 (1211.5063). Logarithms are averaged because products of random gains have
    heavy tails.
    """
    if (inputs is None) == (task is None) or (task is not None and loss is not None):
        raise ValueError("gradient_reach needs either inputs (with or without a loss) or a task, which defines both")
    if task is None:
        wrapped, x_BTI = measured(system, inputs)
        last_B = torch.full((len(x_BTI),), x_BTI.shape[1] - 1)
        summed_loss = None if loss is None else _summed(loss)
    else:
        batch = task.sample(stream(seed, "test", "gradient_reach", task.lag), sequences)
        wrapped, x_BTI = measured(system, batch.input_BTI)
        last_B, summed_loss = _task_loss(task, batch)
    if loss is not None or isinstance(wrapped, CallableSystem):
        _require_graph(wrapped, x_BTI, last_B, summed_loss)
    return _reach(wrapped, x_BTI, last_B, summed_loss, probes, window, seed)


def _require_graph(system: System, x_BTI: Tensor, last_B: Tensor, loss: Loss | None) -> None:
    """Raise ValueError if the loss, or the state at the last step, depends on inputs without a gradient for them."""
    if loss is None:
        x_BTI, last_B = x_BTI[:FEWEST], last_B[:FEWEST]
        row_B = torch.arange(len(x_BTI))

        def projected(output_BTO: Tensor, state_BTH: Tensor) -> Tensor:
            state_BH = state_BTH[row_B, last_B]
            return (state_BH * torch.linspace(1, 2, state_BH.shape[1], dtype=state_BH.dtype)).sum()

        loss = projected
    used = loss
    require_graph(lambda x: used(*system(x)), lambda x: _gradient(system, x, used), x_BTI, "the inputs")


def _summed(loss: Loss) -> Loss:
    def summed(output_BTO: Tensor, state_BTH: Tensor) -> Tensor:
        value = torch.as_tensor(loss(output_BTO, state_BTH))
        if value.dim() > 1:
            raise ValueError(f"a loss must return one number, or one per sequence; got shape {tuple(value.shape)}")
        return value.sum()

    return summed


def _task_loss(task: Task, batch: Batch) -> tuple[Tensor, Loss]:
    """The last scored step of each sequence, (B,), and the sum of the task's losses at these steps."""
    last_B = last_scored_step(batch)
    row_B = torch.arange(len(last_B))
    target_B = batch.target_BT[row_B, last_B]

    def loss(output_BTO: Tensor, state_BTH: Tensor) -> Tensor:
        if output_BTO.shape[-1] != task.answer.outputs:
            raise ValueError(f"{task.name} needs {task.answer.outputs} outputs, the system has {output_BTO.shape[-1]}")
        target = target_B.to(output_BTO.dtype) if target_B.is_floating_point() else target_B
        return task.answer.loss(output_BTO[row_B, last_B], target).sum()

    return last_B, loss


def _reach(
    system: System,
    x_BTI: Tensor,
    last_B: Tensor,
    loss: Loss | None,
    probes: int | None,
    window: Window,
    seed: int,
) -> GradientReach:
    """The gradient of a loss, or of the state at the last step of each sequence if `loss` is None."""
    if probes is not None and probes < 1:
        raise ValueError(f"probes, the number of projections, must be at least 1, got {probes}")
    error = 0.0
    if loss is None:
        log_g_BT, error = _projected(system, x_BTI, last_B, probes, seed)
    else:
        log_g_BT = _log_norm(_gradient(system, x_BTI, loss).unsqueeze(1))
    log_g_BK = _by_lag(log_g_BT.double().numpy(), last_B.numpy())
    fields = curve(log_g_BK, window, torch.finfo(x_BTI.dtype).tiny)
    return GradientReach(**fields, error=error, precision=str(x_BTI.dtype).removeprefix("torch."))


def _gradient(system: System, x_BTI: Tensor, loss: Loss) -> Tensor:
    """The gradient of a loss summed over sequences, (B, T, I); sequences are independent of each other."""
    x_BTI = x_BTI.clone().requires_grad_()
    value = loss(*system(x_BTI))
    if not value.requires_grad:
        return torch.zeros_like(x_BTI)
    return torch.autograd.grad(value, x_BTI, materialize_grads=True)[0]


def _projected(system: System, x_BTI: Tensor, last_B: Tensor, probes: int | None, seed: int) -> tuple[Tensor, float]:
    """The logarithms of the Frobenius norms, (B, T), and the error of their mean; x is copied for each projection."""
    B, T, width = x_BTI.shape
    with torch.no_grad():
        units = system(x_BTI[:1])[1].shape[-1]
    rng = stream(seed, "projections")
    states = B * T * units  # the states computed for one projection
    M = min(units, probes or max(FEWEST, min(STATES // states, PRODUCTS // (states * units))))
    size = max(1, CHUNK_NUMBERS // (M * T * max(units, width)))
    parts = []
    for x_bTI, last_b in zip(torch.split(x_BTI, size), torch.split(last_B, size), strict=True):
        b = len(x_bTI)
        if units == M:
            v_bMH = torch.eye(units, dtype=x_bTI.dtype).expand(b, M, units)
        else:
            normal_bHM = torch.from_numpy(rng.standard_normal((b, units, M)))
            v_bMH = (torch.linalg.qr(normal_bHM)[0].mT * math.sqrt(units / M)).to(x_bTI.dtype)
        v_NH, last_N = v_bMH.reshape(b * M, units), last_b.repeat_interleave(M)

        def projection(output: Tensor, state_NTH: Tensor, v_NH: Tensor = v_NH, last_N: Tensor = last_N) -> Tensor:
            return (state_NTH[torch.arange(len(last_N)), last_N] * v_NH).sum()

        grad_NTI = _gradient(system, x_bTI.repeat_interleave(M, 0), projection)
        parts.append(_log_norm(grad_NTI.view(b, M, T, width)))
    return torch.cat(parts), 0.0 if units == M else math.sqrt(1 / (2 * M * B))


def _log_norm(grad_BMTI: Tensor) -> Tensor:
    """ln of the norm over M and I, (B, T), rescaled so that squares neither underflow nor overflow."""
    largest_BT = grad_BMTI.abs().amax((1, 3))
    scale_BT = torch.where((largest_BT > 0) & torch.isfinite(largest_BT), largest_BT, 1.0)
    scaled = grad_BMTI / scale_BT[:, None, :, None]
    return scaled.square().sum((1, 3)).log() / 2 + scale_BT.log()


def _by_lag(log_g_BT: Floats, last_B: NDArray[np.int64]) -> Floats:
    """Values by lag instead of by step, (B, K); lags before the first step of a sequence are masked."""
    lag_K = np.arange(int(last_B.max()) + 1)
    step_BK = last_B[:, None] - lag_K
    masked: Floats = np.ma.masked_array(np.take_along_axis(log_g_BT, np.maximum(step_BK, 0), 1), step_BK < 0)
    return masked


class GradientReachMeasure(Sampled):
    """The size of the gradient with respect to the input k steps before the readout, and the lags that it reaches.

    `of` selects what is differentiated: the task's loss at the last scored step of each sequence, or `probes` random
    projections of the state at that step. If the training lag is short, set `length` to a larger lag.

    Source: Pascanu, Mikolov and Bengio 2013 (1211.5063).
    """

    of: Literal["loss", "state"] = "loss"
    probes: Annotated[int, Field(ge=1, le=8192)] = 4

    @own_mode()
    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are log10, log10_low, log10_high for each lag, and without a lag tau, half_life, reach (1e-3),
        slope (nats per step), exploding (0 or 1) and law (0 none, 1 exponential, 2 power).
        """
        batch = self.sample(task, seed)
        system, x_BTI = measured(network, batch.input_BTI)
        last_B, loss = _task_loss(task, batch)
        result = _reach(
            system, x_BTI, last_B, loss if self.of == "loss" else None, self.probes, (TRANSIENT, None), seed
        )
        logs = {"log10": result.log_norm, "log10_low": result.low, "log10_high": result.high}
        return curve_rows(result.lag, {name: log / math.log(10) for name, log in logs.items()}) + summary_rows(
            tau=result.tau,
            half_life=result.half_life,
            reach=result.reach(),
            slope=result.slope,
            exploding=result.exploding,
            law=LAWS.index(result.law),
        )
