"""The replicas of a cohort while they train: one tensor program, row r of every tensor being replica r.

No operation here mixes the replicas, so each one's numbers are, bit for bit, those it would have alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from farback import optimizers
from farback.measures.base import Measure, Row
from farback.networks.network import Network, draw
from farback.training.batches import Asked, Data
from farback.training.gradient import gradient, network
from farback.trials.events import Progress
from farback.trials.trial import Trial

SOLVED_SKILL = 0.9  # sustained success: this validation skill...
SUSTAINED = 3  # ...at so many evaluations in a row


@dataclass
class Replica:
    """What is remembered of one trial while it trains.

    Attributes:
        trial: the trial.
        rows: its scores so far.
        shown: its progress so far.
        successes: evaluations in a row that were a success.
        finite: whether the last validation loss was.
        before: what processes before this one were, where it goes on from a checkpoint: as in a result's provenance.
    """

    trial: Trial
    rows: list[tuple[str, int, int, str, float]] = field(default_factory=list)
    shown: list[Progress] = field(default_factory=list)
    successes: int = 0
    finite: bool = True
    before: dict[str, str] = field(default_factory=dict)

    def solved(self, skill: float) -> bool:
        """Whether success is sustained, counting this evaluation."""
        self.successes = self.successes + 1 if skill >= SOLVED_SKILL else 0
        return self.successes >= SUSTAINED and self.trial.stop == "sustained"

    def progress(self, count: int, metrics: dict[str, float]) -> Progress:
        """Note progress, to be shown now, and again where somebody goes on from a checkpoint."""
        self.shown.append(Progress(self.trial.key, count, metrics))
        return self.shown[-1]


@dataclass
class Window:
    """Training values since the last evaluation, (R,) for each update."""

    loss: list[Tensor] = field(default_factory=list)
    norm: list[Tensor] = field(default_factory=list)
    over: list[Tensor] = field(default_factory=list)

    def add(self, loss_R: Tensor, norm_R: Tensor, over_R: Tensor) -> None:
        """One update's values."""
        self.loss.append(loss_R)
        self.norm.append(norm_R)
        self.over.append(over_R)

    def means(self) -> dict[str, list[float]]:
        """Their means, by metric name; each replica's is summed by itself, in double precision."""
        named = {"train/loss": self.loss, "grad/norm": self.norm, "grad/clipped": self.over}
        return {name: torch.stack(values).double().mean(0).tolist() for name, values in named.items()}

    def kept(self, keep: list[int]) -> Window:
        """The same for the replicas that stay."""
        return Window(*([value[keep] for value in values] for values in (self.loss, self.norm, self.over)))


class Replicas:
    """The replicas still in training, before their first update or after any.

    Args:
        trials: of one shape.
        device: where.
    """

    def __init__(self, trials: Sequence[Trial], device: str = "cpu") -> None:
        self.each = [Replica(trial) for trial in trials]
        self.device = device
        self.architecture = trials[0].architecture  # what it finds out about its layout is looked up in every update
        self.theta_RP = torch.cat([value.flatten(1) for value in drawn(trials).parameters.values()], 1).to(device)
        self.moments = type(trials[0].optimizer).moments(self.theta_RP)
        self.asked = Asked.of(trials[0])
        self.training = Data(trials, "train", self.asked, device)
        self.validation = [Data([trial], "validation", self.asked, device).fixed() for trial in trials]
        self.window = Window()
        self._set_rules()

    @property
    def trial(self) -> Trial:
        """What all replicas have in common."""
        return self.each[0].trial

    @property
    def keys(self) -> list[str]:
        """Of the trials."""
        return [replica.trial.key for replica in self.each]

    def _set_rules(self) -> None:
        trials = [replica.trial for replica in self.each]
        self.rules = optimizers.stacked([trial.optimizer for trial in trials], self.theta_RP) if trials else {}
        limits = [[math.inf if trial.clip is None else trial.clip] for trial in trials]
        self.limit_R1 = torch.tensor(limits, dtype=self.theta_RP.dtype, device=self.device)

    def network(self, rows: slice | list[int] = slice(None)) -> Network:
        """The network that the flat parameters of some replicas stand for."""
        return network(self.architecture, self.theta_RP[rows])

    def update(self, count: int) -> list[bool]:
        """One update of every replica, the `count`th; whether each one's loss was finite."""
        loss_R, grad_RP = gradient(self.architecture, self.theta_RP, self.asked, self.training.next())
        with torch.no_grad():
            grad_RP, norm_R = optimizers.clipped(grad_RP, self.limit_R1)
            self.trial.optimizer.update(self.theta_RP, grad_RP, self.moments, self.rules, count)
            self.window.add(loss_R, norm_R, norm_R > self.limit_R1.squeeze(1))
        return [math.isfinite(loss) for loss in loss_R.tolist()]

    def validated(self, r: int) -> tuple[float, float]:
        """One replica's accuracy and loss on its validation data."""
        with torch.no_grad():
            return self.asked.scores(self.network([r]), self.validation[r])

    def measured(self, measure: Measure, at: list[int]) -> list[list[Row]]:
        """A measure of some replicas, on the processor: it is no part of the tensor program."""
        taken = self.network(at)
        taken = Network(taken.architecture, {name: value.cpu() for name, value in taken.parameters.items()})
        trials = [self.each[r].trial for r in at]
        return measure.rows(taken, self.trial.task, [trial.seed for trial in trials], lambda: drawn(trials))

    def without(self, leaving: Sequence[int]) -> None:
        """Take some replicas out of the program."""
        if not leaving:
            return
        keep = [r for r in range(len(self.each)) if r not in leaving]
        self.each = [self.each[r] for r in keep]
        self.validation = [self.validation[r] for r in keep]
        self.theta_RP = self.theta_RP[keep]
        self.moments = {name: value[keep] for name, value in self.moments.items()}
        self.training.keep(keep)
        self.window = self.window.kept(keep)
        self._set_rules()


def drawn(trials: Sequence[Trial]) -> Network:
    """The replicas of a cohort before their first update."""
    first = trials[0]
    return draw(first.architecture, [trial.init for trial in trials], [trial.seed for trial in trials], first.lag)
