"""Gradient reach: how far back the inputs lie that a loss at the last step still has a gradient for.

It measures credit assignment, that is trainability: at the end of training it is not memory (a latch keeps its bit for
ever and has no gradient), and a growing gradient is sensitivity, not memory either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from farback.measures.base import Row, Sampled, Untrained
from farback.measures.support.asked_lags import last_asked
from farback.measures.support.decay_curve import TRANSIENT, Curve, Floats, curve
from farback.measures.support.system import System, measured
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task

STATES, PRODUCTS = 30_000_000, 4_000_000_000  # numbers of all projections together, so that a call takes seconds
FEWEST = 16  # projections, whatever they cost
CHUNK_NUMBERS = 1_000_000  # states of one pass, so that many probes do not need gigabytes
LAWS = ("none", "exponential", "power")

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs (B, T, O) and states (B, T, H) -> one number, or one a sequence


@dataclass(frozen=True)
class GradientReach(Curve):
    """The gradient norm g(k) with respect to the input k steps before the readout step; see `Curve`.

    Attributes:
        error: standard deviation of `log_norm` that comes from the number of projections (at most); 0 where exact.
        precision: "float64", or that of a callable which computes in no other.
    """

    error: float
    precision: str


def gradient_reach(
    system: Any,
    inputs: Any = None,
    loss: Loss | None = None,
    *,
    task: Task | None = None,
    sequences: int = 64,
    probes: int | None = None,
    window: tuple[int, int | None] = (TRANSIENT, None),
    seed: int = 0,
) -> GradientReach:
    """How the gradient of the last step falls with lag, in double precision: mean of logarithms over sequences.

    Without a loss or a task, g(k) is the Frobenius norm of the derivative of the last step's state (what the outputs
    are read from: the top layer's) by the input k steps before. It is exact where the work is bearable, else from as
    many random orthogonal directions a sequence as are (`error` says what that costs). A backward pass gives every lag.

    Args:
        system: see `farback.measures.support.system`.
        inputs: (T, I) or (B, T, I), tensor or array; lags 0 to T - 1.
        loss: of outputs (B, T, O) and states (B, T, H): one number a sequence, or their sum. Only what it takes from
            the last step belongs to a lag: a loss summed over steps mixes short lags in.
        task: in place of `inputs` and `loss`: sequences of the task, and its loss at each one's last asked step.
        sequences: how many sequences of the task.
        probes: projections of the state; the variance of one sequence's g(k)^2 is at most 2 / probes of its square, and
            0 from as many as units on.
        window: first and last lag of the fits.
        seed: of the task's sequences and of the projections.

    Raises:
        ValueError: not a system, inputs of another shape, or neither or both of inputs and task.

    Source: Pascanu, Mikolov and Bengio 2013 (1211.5063) for the quantity; mean of logarithms because products of
    random gains have heavy tails.
    """
    if (inputs is None) == (task is None) or (task is not None and loss is not None):
        raise ValueError("needs inputs, with a loss or without, or else a task, which has both")
    if task is None:
        face, x_BTI = measured(system, inputs)
        last_B = torch.full((len(x_BTI),), x_BTI.shape[1] - 1)
        objective = None if loss is None else _summed(loss)
    else:
        batch = task.sample(stream(seed, "test", "gradient_reach", task.lag), sequences)
        face, x_BTI = measured(system, batch.input_BTI)
        last_B, objective = _asked(task, batch)
    return _reach(face, x_BTI, last_B, objective, probes, window, seed)


def _summed(loss: Loss) -> Loss:
    def summed(output_BTO: Tensor, state_BTH: Tensor) -> Tensor:
        value = loss(output_BTO, state_BTH)
        if not isinstance(value, Tensor) or value.dim() > 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"a loss gives one number, or one a sequence; got {shape}")
        return value.sum()

    return summed


def _asked(task: Task, batch: Batch) -> tuple[Tensor, Loss]:
    """Each sequence's last asked step that needs memory, and the loss there."""
    last_B = last_asked(batch)
    row_B = torch.arange(len(last_B))
    target_B = batch.target_BT[row_B, last_B]

    def loss(output_BTO: Tensor, state_BTH: Tensor) -> Tensor:
        if output_BTO.shape[-1] != task.answer.outputs:
            raise ValueError(
                f"{task.name} needs {task.answer.outputs} outputs, the system gives {output_BTO.shape[-1]}"
            )
        target = target_B.to(output_BTO.dtype) if target_B.is_floating_point() else target_B
        return task.answer.loss(output_BTO[row_B, last_B], target).sum()

    return last_B, loss


def _reach(
    face: System,
    x_BTI: Tensor,
    last_B: Tensor,
    loss: Loss | None,
    probes: int | None,
    window: tuple[int, int | None],
    seed: int,
) -> GradientReach:
    if probes is not None and probes < 1:
        raise ValueError(f"needs at least one projection, got {probes}")
    error = 0.0
    if loss is None:
        log_g_BT, error = _projected(face, x_BTI, last_B, probes, seed)
    else:
        grad_BTI = _gradient(face, x_BTI, loss)
        log_g_BT = log_norm(grad_BTI.unsqueeze(1))
    values = _by_lag(log_g_BT.double().numpy(), last_B.numpy())
    fields = curve(values, window, torch.finfo(x_BTI.dtype).tiny)
    return GradientReach(**fields, error=error, precision=str(x_BTI.dtype).removeprefix("torch."))


def _gradient(face: System, x_BTI: Tensor, objective: Loss) -> Tensor:
    """The gradient of a sum over sequences, (B, T, I): sequences do not meet, so each row is its own."""
    x_BTI = x_BTI.clone().requires_grad_()
    with torch.enable_grad():
        value = objective(*face(x_BTI))
    if not value.requires_grad:
        return torch.zeros_like(x_BTI)
    (grad,) = torch.autograd.grad(value, x_BTI, allow_unused=True)
    return torch.zeros_like(x_BTI) if grad is None else grad


def _projected(face: System, x_BTI: Tensor, last_B: Tensor, probes: int | None, seed: int) -> tuple[Tensor, float]:
    """Log Frobenius norms, (B, T), and the error of their mean. Each projection has a copy of the sequence."""
    B, T, width = x_BTI.shape
    with torch.no_grad():
        units = face(x_BTI[:1])[1].shape[-1]
    rng = stream(seed, "projections")
    each = B * T * units  # states that one projection of every sequence passes through
    M = min(units, probes or max(FEWEST, min(STATES // each, PRODUCTS // (each * units))))
    size = max(1, CHUNK_NUMBERS // (M * T * max(units, width)))
    parts = []
    for start in range(0, B, size):
        x, last = x_BTI[start : start + size], last_B[start : start + size]
        b = len(x)
        if units == M:
            v_bMH = torch.eye(units, dtype=x.dtype).expand(b, M, units)
        else:
            drawn = torch.from_numpy(rng.standard_normal((b, units, M)))
            v_bMH = (torch.linalg.qr(drawn)[0].mT * math.sqrt(units / M)).to(x.dtype)
        v_NH, last_N = v_bMH.reshape(b * M, units), last.repeat_interleave(M)

        def objective(output: Tensor, state_NTH: Tensor, v_NH: Tensor = v_NH, last_N: Tensor = last_N) -> Tensor:
            return (state_NTH[torch.arange(len(last_N)), last_N] * v_NH).sum()

        grad = _gradient(face, x.repeat_interleave(M, 0), objective)
        parts.append(log_norm(grad.view(b, M, T, width)))
    return torch.cat(parts), 0.0 if units == M else math.sqrt(1 / (2 * M * B))


def log_norm(grad_BMTI: Tensor) -> Tensor:
    """ln of the norm over M and I, (B, T), scaled so that squares neither vanish nor overflow."""
    largest_BT = grad_BMTI.abs().amax((1, 3))
    scale_BT = torch.where((largest_BT > 0) & torch.isfinite(largest_BT), largest_BT, 1.0)
    scaled = grad_BMTI / scale_BT[:, None, :, None]
    return scaled.square().sum((1, 3)).log() / 2 + scale_BT.log()


def _by_lag(log_g_BT: Floats, last_B: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
    """Steps turned into lags, (B, K); what lies before a sequence's first step is masked."""
    lag_K = np.arange(int(last_B.max()) + 1)
    step_BK = last_B[:, None] - lag_K
    values = np.take_along_axis(log_g_BT, np.maximum(step_BK, 0), 1)
    masked: Floats = np.ma.masked_array(values, step_BK < 0)
    return masked


class GradientReachMeasure(Sampled):
    """The gradient with respect to the input k steps before the readout, and how far back it reaches.

    `of` says what is differentiated: the loss of the task at each sequence's last asked step, or random projections of
    the state there. A short training lag cuts the reach: give `length`, a larger one.

    Source: see `gradient_reach`.
    """

    of: Literal["loss", "state"] = "loss"
    probes: Annotated[int, Field(ge=1, le=8192)] = 4

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows log10, log10_low, log10_high for each lag; tau, half_life, reach (1e-3), slope (nats a step), exploding
        (0 or 1) and law (0 none, 1 exponential, 2 power).
        """
        return [self._rows(network.replica(index), task, seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, task: Task, seed: int) -> list[Row]:
        batch = self.sample(task, seed)
        face, x_BTI = measured(network, batch.input_BTI)
        last_B, loss = _asked(task, batch)
        found = _reach(face, x_BTI, last_B, loss if self.of == "loss" else None, self.probes, (TRANSIENT, None), seed)
        curves = {"log10": found.log_norm, "log10_low": found.low, "log10_high": found.high}
        rows = [
            Row(lag, statistic, float(values[lag]) / math.log(10))
            for lag in found.lag.tolist()
            for statistic, values in curves.items()
        ]
        summary = {
            "tau": found.tau,
            "half_life": found.half_life,
            "reach": found.reach(),
            "slope": found.slope,
            "exploding": found.exploding,
            "law": LAWS.index(found.law),
        }
        return rows + [Row(-1, statistic, float(value)) for statistic, value in summary.items()]
