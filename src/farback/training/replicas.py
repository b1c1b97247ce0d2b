"""The replicas of a cohort in training, stacked in tensors: row r of every tensor belongs to replica r.

No operation mixes replicas, so each replica gets the same numbers, bit for bit, as if it trained alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from farback import optimizers
from farback.measures.base import Measure, MeasureRow
from farback.networks.network import Network, draw
from farback.records.sustained_success import SOLVED_SKILL, SUSTAINED
from farback.system.random_streams import stream
from farback.training import dropout
from farback.training.batches import BatchStream, ScoredSteps
from farback.training.compiled_updates import CompiledUpdates, covers
from farback.training.gradient import Options, gradient, network
from farback.trials.events import Progress, ScoreRow
from farback.trials.trial import Trial


@dataclass
class Replica:
    """The state of one trial in training, except its tensors.

    Attributes:
        rows: the trial's scores so far.
        shown: its progress events so far.
        successes: successful evaluations in a row.
        finite: whether the last validation loss was finite.
        before: if the trial was resumed, the provenance of the processes that trained it before.
    """

    trial: Trial
    rows: list[ScoreRow] = field(default_factory=list)
    shown: list[Progress] = field(default_factory=list)
    successes: int = 0
    finite: bool = True
    before: dict[str, str] = field(default_factory=dict)

    def solved(self, skill: float) -> bool:
        """Count an evaluation; return whether the trial stops because its success is sustained."""
        self.successes = self.successes + 1 if skill >= SOLVED_SKILL else 0
        return self.successes >= SUSTAINED and self.trial.stop == "sustained"

    def progress(self, count: int, metrics: dict[str, float]) -> Progress:
        """A progress event after `count` updates; it is emitted again if the trial is resumed."""
        self.shown.append(Progress(self.trial.key, count, metrics))
        return self.shown[-1]


@dataclass
class Window:
    """Training values since the last evaluation: loss, gradient norm, whether clipping was needed.

    Each part holds some updates, (U, R).
    """

    loss: list[Tensor] = field(default_factory=list)
    norm: list[Tensor] = field(default_factory=list)
    over: list[Tensor] = field(default_factory=list)

    def means(self) -> dict[str, list[float]]:
        """Means over the updates, one for each replica, by metric name; in double precision."""
        named = {"train/loss": self.loss, "grad/norm": self.norm, "grad/clipped": self.over}
        return {name: torch.cat(values).double().mean(0).tolist() for name, values in named.items()}


class Replicas:
    """The replicas of a cohort of trials of one shape; they start untrained, and those that end are removed.

    `memory` is how many bytes an update may keep for its backward pass.
    """

    def __init__(self, trials: Sequence[Trial], device: str = "cpu", memory: int | None = None) -> None:
        self.each = [Replica(trial) for trial in trials]
        self.device, self.memory = device, memory
        self.architecture = trials[0].architecture  # one object, because it caches the layout used in every update
        parameters = initial_network(trials).parameters
        self.theta_RP = torch.cat([value.flatten(1) for value in parameters.values()], 1).to(device)
        layout = self.architecture.layout
        self.frozen = [slice(layout[n][2], layout[n][2] + math.prod(layout[n][0])) for n in self.architecture.frozen]
        self.moments = type(trials[0].optimizer).moments(self.theta_RP)
        self.scored = ScoredSteps.of(trials[0])
        self.training = BatchStream(trials, "train", self.scored, device)
        self.validation = [BatchStream([trial], "validation", self.scored, device).validation() for trial in trials]
        self.window = Window()
        self.compiled: CompiledUpdates | None = None
        self.is_compiled = covers(trials[0], memory, device)
        self._set_rules()

    @property
    def trial(self) -> Trial:
        """The first trial, for the fields that all trials share."""
        return self.each[0].trial

    @property
    def keys(self) -> list[str]:
        """The keys of the trials."""
        return [replica.trial.key for replica in self.each]

    def _set_rules(self) -> None:
        trials = [replica.trial for replica in self.each]
        self.rules = optimizers.stacked([trial.optimizer for trial in trials], self.theta_RP) if trials else {}
        limits = [[math.inf if trial.clip is None else trial.clip] for trial in trials]
        self.limit_R1 = torch.tensor(limits, dtype=self.theta_RP.dtype, device=self.device)

    def _gradient(self, count: int) -> tuple[Tensor, Tensor]:
        """The loss of every replica and its gradient at update number `count`, with dropout and truncation."""
        batch, trials = self.training.next(), [replica.trial for replica in self.each]
        masks = dropout.layer_masks(trials, count, *batch.x_RTBI.shape[1:3])
        options = Options(
            tuple(mask.to(self.device) for mask in masks), self.trial.truncate, self.seeds(count), self.memory
        )
        kept_RP = dropout.weight_mask(trials, count)
        if kept_RP is None:
            return gradient(self.architecture, self.theta_RP, self.scored, batch, options)
        kept_RP = kept_RP.to(self.device)
        loss_R, grad_RP = gradient(self.architecture, self.theta_RP * kept_RP, self.scored, batch, options)
        return loss_R, grad_RP * kept_RP

    def _rates(self, first: int, updates: int) -> Tensor:
        """The scheduled learning rates of some updates, (U, R), from number `first` on."""
        trials = [replica.trial for replica in self.each]
        rates = [
            [trial.optimizer.lr * trial.schedule.factor(count, trial.steps) for trial in trials]
            for count in range(first, first + updates)
        ]
        return torch.tensor(rates, dtype=self.theta_RP.dtype, device=self.device)

    def seeds(self, count: int) -> tuple[int, ...] | None:
        """For each replica, the seed of the random numbers that its cells draw in update number `count`, if they do."""
        if not self.architecture.cell.draws_itself:
            return None
        return tuple(int(stream(one.trial.seed, "noise", count).integers(2**63)) for one in self.each)

    def network(self, rows: slice | list[int] = slice(None)) -> Network:
        """The network of some replicas."""
        return network(self.architecture, self.theta_RP[rows])

    def update(self, count: int, most: int = 1) -> tuple[int, list[bool]]:
        """Do update number `count` of every replica, or up to `most` updates from there on.

        Returns:
            the number of updates, and whether each replica's loss was finite at the last of them; it was at the others.
        """
        loss_UR, norm_UR = self._compiled(count, most) if self.is_compiled else self._single(count)
        self.window.loss.append(loss_UR)
        self.window.norm.append(norm_UR)
        self.window.over.append(norm_UR > self.limit_R1.squeeze(1))
        return len(loss_UR), [math.isfinite(loss) for loss in loss_UR[-1].tolist()]

    def _compiled(self, count: int, most: int) -> tuple[Tensor, Tensor]:
        """Losses and norms of the gradients, (U, R), of updates in one compiled call."""
        R = len(self.each)
        if self.compiled is None:
            self.compiled = CompiledUpdates(self.trial, self.scored, self.theta_RP.shape[1])
        batch = self.training.next(max(1, min(most, self.compiled.most // R)))
        U = len(batch.x_RTBI) // R
        state = self.theta_RP, self.moments, self.rules, self._rates(count, U), self.limit_R1
        loss_UR, norm_UR = self.compiled.run(batch, *state, count)
        self.training.put_back(U - len(loss_UR))
        return loss_UR, norm_UR

    def _single(self, count: int) -> tuple[Tensor, Tensor]:
        """Losses and norms of the gradients, (1, R), of one update."""
        loss_R, grad_RP = self._gradient(count)
        with torch.no_grad():
            grad_RP, norm_R = optimizers.clipped(grad_RP, self.limit_R1)
            kept = [(part, self.theta_RP[:, part].clone()) for part in self.frozen]
            rules = {**self.rules, "lr": self._rates(count, 1).T}
            self.trial.optimizer.update(self.theta_RP, grad_RP, self.moments, rules, count)
            for part, before in kept:  # weight decay also changes parameters whose gradient is 0
                self.theta_RP[:, part] = before
        return loss_R.unsqueeze(0), norm_R.unsqueeze(0)

    def validated(self, r: int) -> tuple[float, float]:
        """One replica's accuracy and loss on its validation data."""
        with torch.no_grad():
            return self.scored.scores(self.network([r]), self.validation[r])

    def measured(self, measure: Measure, rows: list[int]) -> list[list[MeasureRow]]:
        """The rows of a measure for each of some replicas, computed on the CPU."""
        part = self.network(rows)
        part = Network(part.architecture, {name: value.cpu() for name, value in part.parameters.items()})
        trials = [self.each[r].trial for r in rows]
        return measure.rows(part, self.trial.task, [trial.seed for trial in trials], lambda: initial_network(trials))

    def remove(self, leaving: Sequence[int]) -> None:
        """Remove some replicas from every tensor."""
        if not leaving:
            return
        keep = [r for r in range(len(self.each)) if r not in leaving]
        self.each = [self.each[r] for r in keep]
        self.validation = [self.validation[r] for r in keep]
        self.theta_RP = self.theta_RP[keep]
        self.moments = {name: value[keep] for name, value in self.moments.items()}
        self.training.keep(keep)
        self.window = Window(*([value[:, keep] for value in values] for values in vars(self.window).values()))
        self._set_rules()


def initial_network(trials: Sequence[Trial]) -> Network:
    """The replicas of a cohort before their first update."""
    first = trials[0]
    return draw(first.architecture, [trial.init for trial in trials], [trial.seed for trial in trials], first.lag)
