"""Kernel recovery: the weight that a network has learned for the input at each lag, estimated from its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from farback.measures.base import Count, Floats, Measure, MeasureRow, curve_rows, summary_rows
from farback.measures.support.own_mode import own_mode
from farback.measures.support.system import as_system
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task
from farback.tasks.kernel import KernelTask


@dataclass(frozen=True)
class KernelRecovery:
    """The kernel (the weight of each past input) of a network beside the kernel of the task.

    Attributes:
        lag: 0 to the kernel's last lag.
        known: the task's weights.
        recovered: the network's weights, by least squares of its outputs on the inputs.
        linear: share of the outputs' variance that the recovered kernel explains; below 1 if the network is nonlinear
            or remembers beyond the kernel's last lag.
    """

    lag: NDArray[np.int64]
    known: Floats
    recovered: Floats
    linear: float


@own_mode()
def kernel_recovery(system: Any, task: KernelTask, sequences: int = 500, seed: int = 0) -> KernelRecovery:
    """Recover the kernel of a system trained on the task `kernel`, from fresh white noise.

    Args:
        system: see `farback.measures`; one output per step.
        task: the task, which has the known weights.
        sequences: number of sequences; each gives `task.asked` equations for lag + 1 weights and a constant.

    Raises:
        ValueError: too few equations for the weights, or more than one output.
    """
    if sequences * task.asked < 2 * (task.lag + 2):
        raise ValueError(f"{sequences} sequences of {task.asked} answers are too few for {task.lag + 1} weights")
    input_BTI, _, lag_BT = task.sample(stream(seed, "test", "kernel_recovery"), sequences)
    with torch.no_grad():
        output_BTO = as_system(system)(input_BTI)[0]
    if output_BTO.shape[-1] != 1:
        raise ValueError(f"kernel_recovery needs a system with 1 output, this one has {output_BTO.shape[-1]}")
    y_N = output_BTO[..., 0][lag_BT >= 0].double().numpy()
    window_BNK = np.lib.stride_tricks.sliding_window_view(input_BTI[..., 0].double().numpy(), task.lag + 1, axis=1)
    x_NK = window_BNK[..., ::-1].reshape(-1, task.lag + 1)
    design = np.column_stack([np.ones(len(x_NK)), x_NK])
    weight, *_ = np.linalg.lstsq(design, y_N, rcond=None)
    variance = float(y_N.var())
    linear = 1 - float((y_N - design @ weight).var()) / variance if variance > 0 else float("nan")
    return KernelRecovery(np.arange(task.lag + 1), task.weights(), weight[1:], linear)


class KernelRecoveryMeasure(Measure):
    """The weights of past inputs that a network has learned, beside the known weights of the task `kernel`.

    Source: Wiener's identification of a linear filter by least squares on white noise.
    """

    sequences: Count = 500

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are known and recovered for each lag, and linear and error (their squared distance) without."""
        assert isinstance(task, KernelTask)  # ensured by `check`
        kernel = kernel_recovery(network, task, self.sequences, seed)
        error = ((kernel.known - kernel.recovered) ** 2).sum()
        curves = {"known": kernel.known, "recovered": kernel.recovered}
        return summary_rows(linear=kernel.linear, error=error) + curve_rows(kernel.lag, curves)

    def check(self, task: Task) -> None:
        """The task must be kernel."""
        if not isinstance(task, KernelTask):
            raise ValueError(f"kernel_recovery can only be taken on the task kernel, and the task is {task.name}")
