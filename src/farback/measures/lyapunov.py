"""Lyapunov exponents: the rates at which small differences of the state grow or fall in the long run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from farback.measures.base import Row, Sampled, Untrained
from farback.measures.support.decay_curve import ROUNDING
from farback.measures.support.jacobians import LARGEST, blocks, run
from farback.networks.network import Network
from farback.tasks.base import Task


@dataclass(frozen=True)
class Lyapunov:
    """Lyapunov exponents in nats a step.

    Attributes:
        exponents: the mean over sequences, descending. -inf is a direction that is wiped out exactly, or by so much in
            one step that double precision cannot tell; nan where the states are no numbers.
        each: the exponents of every sequence, (B, N).
        steps: how many steps they are taken over.
    """

    exponents: NDArray[np.float64]
    each: NDArray[np.float64]
    steps: int

    @property
    def largest(self) -> float:
        """The rate at which a gradient grows (above 0) or vanishes in the long run."""
        return float(self.exponents[0])

    @property
    def tau_max(self) -> float:
        """-1 / largest, the longest time constant in steps: inf at 0, nan where differences grow."""
        if self.largest > ROUNDING or math.isnan(self.largest):
            return math.nan
        return math.inf if self.largest > -ROUNDING else -1 / self.largest


def lyapunov(system: Any, inputs: Any, count: int | None = None, *, burn_in: int = 0) -> Lyapunov:
    """Lyapunov exponents of the full state along given inputs, by QR decomposition in double precision.

    Q_0 = I; at each step J_t Q_{t-1} = Q_t R_t; exponent i is the mean of ln |R_t,ii| over the steps. The Jacobians are
    those between consecutive steps, so T steps of input give T - 1 factors.

    Args:
        system: see `farback.measures.support.system`; it must be possible to carry it on from a state.
        inputs: (T, I) or (B, T, I), tensor or array; long sequences, for these are rates in the long run.
        count: how many exponents, the largest first; all of them unless told.
        burn_in: factors left out at the beginning, while state and directions settle.

    Raises:
        ValueError: fewer than two steps, a count or burn-in that leaves nothing, a system that cannot be carried on, or
            a full state of more than 512 numbers.

    Source: Benettin et al. 1980; Vogt et al. 2020 (2006.14123) and Engelken et al. 2020 (2006.02427) for networks.
    """
    face, x_BTI, state_BTS = run(system, inputs)
    B, T, S = state_BTS.shape
    if S > LARGEST:
        raise ValueError(f"the full state has {S} numbers; exponents are computed up to {LARGEST}")
    if count is not None and not 1 <= count <= S:
        raise ValueError(f"a full state of {S} numbers has 1 to {S} exponents, asked for {count}")
    if not 0 <= burn_in < T - 1:
        raise ValueError(f"{T} steps have {T - 1} factors, of which burn_in must leave some; got {burn_in}")
    Q_BSN = torch.eye(S, dtype=state_BTS.dtype)[:, : count or S].expand(B, S, -1)
    total_BN = torch.zeros(B, Q_BSN.shape[-1], dtype=state_BTS.dtype)
    step = 0
    for J_BtSS in blocks(face, x_BTI, state_BTS, backwards=False):
        for J_BSS in J_BtSS.unbind(1):
            moved_BSN = J_BSS @ Q_BSN
            Q_BSN, R_BNN = torch.linalg.qr(moved_BSN)
            stretch_BN = R_BNN.diagonal(dim1=1, dim2=2).abs()
            # what is left of a column beside rounding errors of the whole
            unresolved_B1 = torch.finfo(stretch_BN.dtype).eps * moved_BSN.norm(dim=(1, 2)).unsqueeze(1)
            stretch_BN = torch.where(stretch_BN <= unresolved_B1, 0.0, stretch_BN)
            if step >= burn_in:
                total_BN += stretch_BN.log()
            step += 1
    each_BN = (total_BN / (T - 1 - burn_in)).sort(1, descending=True).values.numpy()
    return Lyapunov(each_BN.mean(0), each_BN, T - 1 - burn_in)


class LyapunovMeasure(Sampled):
    """Lyapunov exponents along sequences of the task. A short training lag is no long run: give `length`, a larger one.

    Source: see `lyapunov`.
    """

    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    count: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    burn_in: Annotated[int, Field(ge=0, le=100_000)] = 0

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows exponent, whose lag is its rank, the largest at 0; largest and tau_max.

        None for a bidirectional network, which carries no state, and for sequences of a single step.
        """
        if network.architecture.bidirectional:
            return [[] for _ in seeds]
        return [self._rows(network.replica(index), task, seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, task: Task, seed: int) -> list[Row]:
        inputs = self.sample(task, seed).input_BTI
        if inputs.shape[1] < 2:
            return []
        size = network.architecture.state_count
        found = lyapunov(network, inputs, min(self.count or size, size), burn_in=self.burn_in)
        exponents = [Row(rank, "exponent", float(value)) for rank, value in enumerate(found.exponents)]
        return [*exponents, Row(-1, "largest", found.largest), Row(-1, "tau_max", found.tau_max)]

    def check(self, task: Task) -> None:
        """The burn-in must leave some steps."""
        super().check(task)
        steps = self.sample(task, 0).input_BTI.shape[1] if self.burn_in else 0
        if self.burn_in and self.burn_in >= steps - 1:
            raise ValueError(f"burn_in is {self.burn_in}, and sequences of {steps} steps have {steps - 1} factors")
