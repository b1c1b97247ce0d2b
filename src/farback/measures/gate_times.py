"""Time constants of the gates that keep the state, unit by unit.

The direct path of an LSTM is dc_T / dc_{T-k} = product of f. A unit's time constant is taken from the mean of ln f, the
geometric mean of the gate: what k steps keep is exp(k mean ln f). The path through the states into the gates is left
out, so this is a bound in neither direction; it is exact where the gates do not depend on the inputs.

Two traps. `torch.nn` has two biases a gate: one filled with 1 and the other as well is a forget bias of 2. And in
`torch.nn.GRU` z keeps, h' = (1 - z) n + z h, where other texts let z write.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from farback.measures.base import Row, Sampled, Untrained
from farback.measures.support.system import sequences
from farback.networks.network import Network, from_torch
from farback.tasks.base import Task


@dataclass(frozen=True)
class GateTimes:
    """Keep gates f of all units, averaged over steps and sequences; N units, layer by layer, bottom to top.

    Attributes:
        log_keep: mean of ln f, (N,).
        layer: the layer each unit is in, from 0; a bidirectional layer has its forward units first.
    """

    log_keep: NDArray[np.float64]
    layer: NDArray[np.int64]

    @property
    def keep(self) -> NDArray[np.float64]:
        """The geometric mean of the gate."""
        return np.exp(self.log_keep)

    @property
    def tau(self) -> NDArray[np.float64]:
        """-1 / mean ln f, in steps: inf for a gate that never lets go, 0 for one that keeps nothing."""
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.abs(self.log_keep))

    @property
    def half_life(self) -> NDArray[np.float64]:
        """ln 2 tau, in steps."""
        return math.log(2) * self.tau

    @property
    def chrono(self) -> NDArray[np.float64]:
        """1 / (1 - f) of the geometric mean, in steps; 1 + e^b for a constant gate of bias b."""
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.abs(np.expm1(self.log_keep)))


def gate_times(system: Any, inputs: Any) -> GateTimes:
    """Time constants of the keep gates along given inputs, in double precision.

    Args:
        system: a `torch.nn.LSTM` (forget gate) or `GRU` (z, which keeps), or a farback network whose cell has a gate;
            at any depth, in either layout.
        inputs: (T, I) or (B, T, I), tensor or array.

    Raises:
        ValueError: a system without gates, or whose gates cannot be seen; inputs of another shape.

    Source: Tallec and Ollivier 2018 (1804.11188); Gers et al. 2000.
    """
    if isinstance(system, nn.RNNBase):
        system = copy.deepcopy(system)
        system.dropout = 0.0  # gates are measured as in evaluation
        system = from_torch(system)
    if not isinstance(system, Network):
        kind = type(system).__name__
        raise ValueError(f"gates are seen in a torch.nn.LSTM or GRU and in farback networks, not in a {kind}")
    if system.replicas != 1:
        raise ValueError(f"a system is one network, this has {system.replicas} replicas: use replica(r)")
    found = _gates(system.to(torch.float64), sequences(inputs))
    if found is None:
        raise ValueError(f"{system.architecture.cell.label()} has no gate that keeps the state")
    return found


@torch.no_grad()
def _gates(network: Network, x_BTI: Tensor) -> GateTimes | None:
    """Step every layer through the sequence, and ask its gates before each step."""
    a, parameters = network.architecture, network.parameters
    if x_BTI.shape[-1] != a.inputs:
        raise ValueError(f"the system takes {a.inputs} inputs a step, got {x_BTI.shape[-1]}")
    x_RTBI = x_BTI.transpose(0, 1).unsqueeze(0)
    initial = network.initial(x_RTBI)
    encoder = {name[8:]: value for name, value in parameters.items() if name.startswith("encoder.")}
    x_RTBI = a.encoder.encode(encoder, x_RTBI)
    kept: list[Tensor] = []
    outputs: list[Tensor] = []
    for place, state in zip(a.layers(), initial, strict=True):
        p = {name: parameters[name + place.suffix] for name in a.cell_shapes(place)}
        gates_RTBG = a.cell.project(p, x_RTBI.flip(1) if place.reverse else x_RTBI)
        total, steps = None, []
        for gates_RBG in gates_RTBG.unbind(1):
            log_RBH = a.cell.log_keep(p, gates_RBG, state)
            if log_RBH is None:
                return None
            total = log_RBH if total is None else total + log_RBH
            state = a.cell.step(p, gates_RBG, state)
            steps.append(a.cell.output(p, gates_RBG, state))
        assert total is not None  # a sequence has a step
        kept.append(total[0].mean(0) / len(steps))
        output_RTBH = torch.stack(steps, 1)
        outputs.append(output_RTBH.flip(1) if place.reverse else output_RTBH)
        if len(outputs) == a.directions:
            x_RTBI, outputs = torch.cat(outputs, -1), []
    layer = [index // a.directions for index, part in enumerate(kept) for _ in range(len(part))]
    return GateTimes(torch.cat(kept).numpy(), np.array(layer))


class GateTimesMeasure(Sampled):
    """Time constants of the keep gates along sequences of the task; a cell without gates has no rows.

    Source: see `gate_times`.
    """

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows tau, whose lag is the number of the unit, layer by layer; median, geometric_mean, largest (of tau) and
        chrono_median.
        """
        return [self._rows(network.replica(index), task, seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, task: Task, seed: int) -> list[Row]:
        found = _gates(network.to(torch.float64), sequences(self.sample(task, seed).input_BTI))
        if found is None:
            return []
        with np.errstate(divide="ignore", invalid="ignore"):
            summary = {
                "median": np.median(found.tau),
                "geometric_mean": np.exp(np.log(found.tau).mean()),
                "largest": found.tau.max(),
                "chrono_median": np.median(found.chrono),
            }
        rows = [Row(unit, "tau", float(value)) for unit, value in enumerate(found.tau)]
        return rows + [Row(-1, statistic, float(value)) for statistic, value in summary.items()]
