"""Time constants of the gates that keep the state, for each hidden unit.

On the direct path of an LSTM, dc_T / dc_{T-k} is the product of its forget gates f. A unit's time constant follows from
the mean of ln f (the geometric mean of the gate): after k steps the share exp(k * mean ln f) is kept. Paths through the
hidden state into the gates are ignored, so the result is neither an upper nor a lower bound of memory; it is exact if
the gates are constant.

Two details are often mistaken: `torch.nn` has two bias vectors per gate, so filling both with 1 gives a forget bias of
2; and in `torch.nn.GRU` z keeps the state, h' = (1 - z) n + z h, while in other texts a large z overwrites the state.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from farback.cells.base import Cell, Parameters, State
from farback.kernels.unroll import layer
from farback.measures.base import Floats, MeasureRow, Sampled, curve_rows, summary_rows
from farback.measures.support.long_samples import parts, runs_in_parts
from farback.measures.support.numbers import sequences
from farback.measures.support.own_mode import own_mode
from farback.measures.support.torch_systems import require_single
from farback.networks.block import Convolved
from farback.networks.module_copies import plain
from farback.networks.network import Network, from_torch
from farback.tasks.base import Task


@dataclass(frozen=True)
class GateTimes:
    """The keep gates f of all N units, averaged over steps and sequences; layers are ordered from bottom to top.

    Attributes:
        log_keep: mean of ln f, (N,).
        layer: index of each unit's layer, from 0; a bidirectional layer has its forward units first.
    """

    log_keep: Floats
    layer: NDArray[np.int64]

    @property
    def keep(self) -> Floats:
        """The geometric mean of the gate."""
        return np.exp(self.log_keep)

    @property
    def tau(self) -> Floats:
        """-1 / mean ln f, in steps: inf for a gate that keeps everything, 0 for one that keeps nothing."""
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.abs(self.log_keep))

    @property
    def half_life(self) -> Floats:
        """The half-life of the state, ln 2 * tau, in steps."""
        return math.log(2) * self.tau

    @property
    def chrono(self) -> Floats:
        """1 / (1 - f), in steps, where f is the geometric mean of the gate; equal to 1 + e^b for a constant bias b."""
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.abs(np.expm1(self.log_keep)))


@own_mode()
def gate_times(system: Any, inputs: Any) -> GateTimes:
    """Time constants of the keep gates along given inputs, in double precision.

    Args:
        system: a `torch.nn.LSTM` (forget gate) or `GRU` (z, which keeps), of any depth and layout, or a farback network
            whose cell has a gate.
        inputs: (T, I) or (B, T, I), tensor or array.

    Raises:
        ValueError: a system that has no gates, or whose gates cannot be read; inputs of the wrong shape.

    Source: Tallec and Ollivier 2018 (1804.11188); Gers et al. 2000.
    """
    if isinstance(system, nn.RNNBase):
        system = plain(system)
        system.dropout = 0.0  # as in evaluation mode
        system = from_torch(system)
    if not isinstance(system, Network):
        kind = type(system).__name__
        raise ValueError(f"gates can be read from torch.nn.LSTM, torch.nn.GRU and farback networks, not from a {kind}")
    require_single(system)
    gates = _gate_times(system.to(torch.float64), [sequences(inputs)])
    if gates is None:
        raise ValueError(f"{system.architecture.cell.label()} has no gate that keeps the state")
    return gates


@torch.no_grad()
def _gate_times(network: Network, parts: Iterable[Tensor]) -> GateTimes | None:
    """Step every layer through sequences, given in parts (B, T, I), and read its gates before each step.

    None for a cell without gates.
    """
    log_keeps: list[Tensor] = []  # sums over the steps of this part

    def stepped(
        cell: Cell, p: Parameters, x_RTBI: Tensor, state: State, index_RN: Tensor | None, truncate: int | None
    ) -> tuple[Tensor, State]:
        if isinstance(cell, Convolved):  # which steps its own cell
            return layer(cell, p, x_RTBI, state)
        gates_RTBG, total_RBH, outputs = cell.project(p, x_RTBI), None, []
        for gates_RBG in gates_RTBG.unbind(1):
            log_RBH = cell.log_keep(p, gates_RBG, state)
            if log_RBH is None:
                return layer(cell, p, x_RTBI, state)
            total_RBH = log_RBH if total_RBH is None else total_RBH + log_RBH
            state = cell.step(p, gates_RBG, state)
            outputs.append(cell.output(p, gates_RBG, state))
        assert total_RBH is not None  # there is at least one step
        log_keeps.append(total_RBH[0].mean(0))
        return torch.stack(outputs, 1), state

    totals: list[Tensor] = []
    before, steps = None, 0
    for x_BTI in parts:
        if x_BTI.shape[-1] != network.architecture.inputs:
            raise ValueError(f"the system takes {network.architecture.inputs} inputs per step, got {x_BTI.shape[-1]}")
        _, before = network.run(x_BTI.transpose(0, 1).unsqueeze(0), before, unrolled=stepped)
        totals = [total + new for total, new in zip(totals, log_keeps, strict=True)] if totals else log_keeps
        log_keeps, steps = [], steps + x_BTI.shape[1]
    if not totals:
        return None
    directions = network.architecture.directions
    depth = [index // directions for index, part in enumerate(totals) for _ in range(len(part))]
    return GateTimes((torch.cat(totals) / steps).numpy(), np.array(depth))


class GateTimesMeasure(Sampled):
    """Time constants of the keep gates along sequences of the task.

    Source: Tallec and Ollivier 2018 (1804.11188); Gers et al. 2000.
    """

    needs_cell: ClassVar[bool] = True

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are tau, with the unit's number as the lag, and without a lag four summaries over the units."""
        longer = self.longer(task)
        inputs: Iterable[Tensor] = (x_BTI for _, x_BTI in parts(self, network, longer, seed))
        if not runs_in_parts(network, longer):
            inputs = [sequences(self.sample(task, seed).input_BTI)]
        gates = _gate_times(network.to(torch.float64), inputs)
        if gates is None:  # the cell has no gates
            return []
        with np.errstate(divide="ignore", invalid="ignore"):
            return curve_rows(range(len(gates.tau)), {"tau": gates.tau}) + summary_rows(
                median=np.median(gates.tau),
                geometric_mean=np.exp(np.log(gates.tau).mean()),
                largest=gates.tau.max(),
                chrono_median=np.median(gates.chrono),
            )
