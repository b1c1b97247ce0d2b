"""The memory kernel that a network has learned, read off its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from farback.measures.base import Measure, Row, Untrained
from farback.measures.support.system import as_system
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task
from farback.tasks.kernel import Kernel


@dataclass(frozen=True)
class KernelRecovery:
    """A kernel beside the one that was asked for.

    Attributes:
        lag: 0 to the kernel's last.
        known: the task's weights.
        recovered: the network's, by least squares of its outputs on the inputs.
        linear: share of the outputs' variance that the recovered kernel explains; below 1 where the network is not
            linear, or remembers beyond the kernel's last lag.
    """

    lag: NDArray[np.int64]
    known: NDArray[np.float64]
    recovered: NDArray[np.float64]
    linear: float


def kernel_recovery(system: Any, task: Kernel, sequences: int = 500, seed: int = 0) -> KernelRecovery:
    """Recover the kernel of a system that was trained on the task `kernel`, from fresh white noise.

    Args:
        system: see `farback.measures`; one output a step.
        task: the task, whose weights are the known kernel.
        sequences: how many; each gives `task.asked` equations for lag + 1 weights and a constant.
        seed: of the test stream.

    Raises:
        ValueError: fewer equations than weights, or more than one output.
    """
    if sequences * task.asked < 2 * (task.lag + 2):
        raise ValueError(f"{sequences} sequences of {task.asked} answers are too few for {task.lag + 1} weights")
    input_BTI, _, lag_BT = task.sample(stream(seed, "test", "kernel_recovery"), sequences)
    with torch.no_grad():
        output_BTO = as_system(system)(input_BTI)[0]
    if output_BTO.shape[-1] != 1:
        raise ValueError(f"kernel needs 1 output, the system gives {output_BTO.shape[-1]}")
    y_N = output_BTO[..., 0][lag_BT >= 0].double().numpy()
    window_BNK = np.lib.stride_tricks.sliding_window_view(input_BTI[..., 0].double().numpy(), task.lag + 1, axis=1)
    x_NK = window_BNK[..., ::-1].reshape(-1, task.lag + 1)
    design = np.column_stack([np.ones(len(x_NK)), x_NK])
    weight, *_ = np.linalg.lstsq(design, y_N, rcond=None)
    spread = float(y_N.var())
    linear = 1 - float((y_N - design @ weight).var()) / spread if spread > 0 else float("nan")
    return KernelRecovery(np.arange(task.lag + 1), task.weights(), weight[1:], linear)


class KernelRecoveryMeasure(Measure):
    """The kernel that a network has learned, beside the known one, lag by lag.

    Source: least squares on white noise (Wiener); the task `kernel`.
    """

    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 500

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows known and recovered for each lag; linear and error (their squared distance) without one."""
        assert isinstance(task, Kernel)  # as checked
        found = []
        for index, seed in enumerate(seeds):
            one = kernel_recovery(network.replica(index), task, self.sequences, seed)
            rows = [Row(-1, "linear", one.linear), Row(-1, "error", float(((one.known - one.recovered) ** 2).sum()))]
            for name, values in (("known", one.known), ("recovered", one.recovered)):
                rows += [Row(int(lag), name, float(value)) for lag, value in zip(one.lag, values, strict=True)]
            found.append(rows)
        return found

    def check(self, task: Task) -> None:
        """Only the task `kernel` has a known one."""
        if not isinstance(task, Kernel):
            raise ValueError(f"a kernel is recovered from the task kernel, and the task is {task.name}")
