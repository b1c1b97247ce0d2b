"""The only training loop: one cohort in, a stream of events out.

A cohort is R trials of one shape. Everything is one tensor program over the replicas, and no operation mixes them, so
each trial's numbers are, bit for bit, those it would have alone. A replica leaves the program when it is done: at the
last update, after sustained success, or when its loss is no longer finite.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

import torch
from torch import Tensor

from farback import optimizers
from farback.data import Asked, Data, Questions
from farback.gradient import gradient, network
from farback.measures.base import Measure, Row
from farback.measures.retention import scored
from farback.network import Network, draw
from farback.trial import Event, Finished, Progress, Status, Stopped, Trial, TrialResult, scores

SOLVED_SKILL = 0.9  # sustained success: this validation skill...
SUSTAINED = 3  # ...at so many evaluations in a row


def train(trials: Sequence[Trial], device: str = "cpu") -> Generator[Event, set[str] | None, None]:
    """Train a cohort.

    Args:
        trials: trials of one shape.
        device: where; part of no trial's identity.

    Yields:
        Progress of each replica at every evaluation, and Finished once for each, as it leaves. A replica whose key is
        in a set that is sent to the generator leaves at the next evaluation with Stopped instead.

    Raises:
        ValueError: the trials differ in more than replicas may.
    """
    if len({trial.shape for trial in trials}) != 1:
        raise ValueError("a cohort holds trials of one shape: pack them with farback.trial.cohorts")
    with arithmetic():
        cohort = _Cohort.fresh(trials, device)
        yield from cohort.events()


@contextmanager
def arithmetic() -> Iterator[None]:
    """How numbers are computed while training, whoever calls: one thread, and denormal numbers are zero.

    At these sizes two threads are slower than one, and sums must not depend on their number. A gradient that vanishes
    goes through the denormal numbers (below 1e-38), which the processor handles ten times slower than others: without
    this, most of a sweep's time would go into gradients that are nothing.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


@dataclass
class _Replica:
    """What is remembered of one trial while it trains."""

    trial: Trial
    rows: list[tuple[str, int, int, str, float]] = field(default_factory=list)
    successes: int = 0
    finite: bool = True  # the last validation loss

    def solved(self, skill: float) -> bool:
        """Whether success is sustained, counting this evaluation."""
        self.successes = self.successes + 1 if skill >= SOLVED_SKILL else 0
        return self.successes >= SUSTAINED and self.trial.stop == "sustained"


@dataclass
class _Cohort:
    """The replicas still in training, row r of every tensor being replica r."""

    replicas: list[_Replica]
    theta_RP: Tensor
    moments: dict[str, Tensor]
    training: Data
    validation: list[Questions]  # of each replica
    questions: Asked
    device: str
    unwanted: set[str] = field(default_factory=set)  # keys of trials that were given up

    @classmethod
    def fresh(cls, trials: Sequence[Trial], device: str) -> _Cohort:
        """Every replica before its first update."""
        first = trials[0]
        network = drawn(trials)
        theta_RP = torch.cat([value.flatten(1) for value in network.parameters.values()], 1).to(device)
        asked = Asked.of(first)
        return cls(
            replicas=[_Replica(trial) for trial in trials],
            theta_RP=theta_RP,
            moments=type(first.optimizer).moments(theta_RP),
            training=Data(trials, "train", asked, device),
            validation=[Data([trial], "validation", asked, device).fixed() for trial in trials],
            questions=asked,
            device=device,
        )

    @property
    def trial(self) -> Trial:
        """What all replicas have in common."""
        return self.replicas[0].trial

    def network(self, rows: slice | list[int] = slice(None)) -> Network:
        """The network that the flat parameters of some replicas stand for."""
        return network(self.trial.architecture, self.theta_RP[rows])

    def events(self) -> Generator[Event, set[str] | None, None]:
        """Train to the end."""
        first = self.trial
        rules, limit_R1 = self._rules()
        window = _Window()
        if first.steps:
            yield from self._take(list(range(len(self.replicas))), 0)
        for count in range(1, first.steps + 1):
            finite_R = self._update(count, rules, limit_R1, window)
            before = len(self.replicas)
            lost = [r for r, finite in enumerate(finite_R) if not finite]
            yield from self._leave(lost, count, "diverged")
            window = window.kept(lost)
            if self.replicas and (count % first.evaluate_every == 0 or count == first.steps):
                solved = yield from self._evaluate(count, window)
                yield from self._leave(solved if count < first.steps else [], count, "finished")
                yield from self._give_up(count)
                window = _Window()
            if not self.replicas:
                return
            if count < first.steps:
                yield from self._take(list(range(len(self.replicas))), count)
            if len(self.replicas) < before:
                rules, limit_R1 = self._rules()
        lost = [r for r, replica in enumerate(self.replicas) if not replica.finite]  # by the last update itself
        yield from self._leave(lost, first.steps, "diverged")
        yield from self._leave(list(range(len(self.replicas))), first.steps, "finished")

    def _rules(self) -> tuple[dict[str, Tensor], Tensor]:
        trials = [replica.trial for replica in self.replicas]
        rules = optimizers.stacked([trial.optimizer for trial in trials], self.theta_RP)
        limits = [[math.inf if trial.clip is None else trial.clip] for trial in trials]
        return rules, torch.tensor(limits, dtype=self.theta_RP.dtype, device=self.device)

    def _update(self, count: int, rules: dict[str, Tensor], limit_R1: Tensor, window: _Window) -> list[bool]:
        """One update of every replica; whether each one's loss was finite."""
        questions = self.training.next()
        loss_R, grad_RP = gradient(self.trial.architecture, self.theta_RP, self.questions, questions)
        with torch.no_grad():
            grad_RP, norm_R = optimizers.clipped(grad_RP, limit_R1)
            self.trial.optimizer.update(self.theta_RP, grad_RP, self.moments, rules, count)
            window.add(loss_R, norm_R, norm_R > limit_R1.squeeze(1))
        return [math.isfinite(loss) for loss in loss_R.tolist()]

    def _evaluate(self, count: int, window: _Window) -> Generator[Event, set[str] | None, list[int]]:
        """Validate every replica; returns those whose success is sustained."""
        solved = []
        means = window.means()
        for r, replica in enumerate(self.replicas):
            with torch.no_grad():
                accuracy, loss = self.questions.scores(self.network([r]), self.validation[r])
            replica.finite = math.isfinite(loss)
            now = scored(replica.trial.task, accuracy, loss)
            metrics = {name: values[r] for name, values in means.items()}
            metrics |= {"valid/skill": now.skill, "valid/accuracy": accuracy, "valid/loss": loss}
            for name, value in metrics.items():
                measure, statistic = name.split("/")
                replica.rows.append((measure, count, -1, statistic, value))
            self.unwanted |= (yield Progress(replica.trial.key, count, metrics)) or set()
            if replica.solved(now.skill):
                solved.append(r)
        return solved

    def _leave(self, leaving: list[int], count: int, status: Status) -> Iterator[Event]:
        """End some replicas, measuring what they became, and go on without them."""
        if not leaving:
            return
        yield from self._take(leaving, count, end=True)
        results = []
        for replica in (self.replicas[r] for r in leaving):
            table = scores([*replica.rows, ("training", count, -1, "updates", float(count))])
            results.append(TrialResult(replica.trial.key, table, status, provenance(replica.trial)))
        self._without(leaving)
        for result in results:
            yield Finished(result)

    def _give_up(self, count: int) -> Iterator[Event]:
        """Go on without the replicas that are not wanted any more."""
        leaving = [r for r, replica in enumerate(self.replicas) if replica.trial.key in self.unwanted]
        keys = [self.replicas[r].trial.key for r in leaving]
        if leaving:
            self._without(leaving)
        for key in keys:
            yield Stopped(key, count)

    def _without(self, leaving: list[int]) -> None:
        """Take some replicas out of the program."""
        keep = [r for r in range(len(self.replicas)) if r not in leaving]
        self.replicas = [self.replicas[r] for r in keep]
        self.validation = [self.validation[r] for r in keep]
        self.theta_RP = self.theta_RP[keep]
        self.moments = {name: value[keep] for name, value in self.moments.items()}
        self.training.keep(keep)

    def _take(self, at: list[int], count: int, end: bool = False) -> Iterator[Event]:
        """Take the measures of some replicas that are wanted after so many updates, and show what they say."""
        for measure in self.trial.measures:
            if not (measure.taken(count) or (end and "end" in measure.at)):
                continue
            for replica, rows in zip([self.replicas[r] for r in at], self._measured(measure, at), strict=True):
                replica.rows += [(measure.name, count, row.lag, row.statistic, row.value) for row in rows]
                if measure.at != ("end",):
                    metrics = {f"{measure.name}/{name}": value for name, value in measure.live(rows).items()}
                    yield Progress(replica.trial.key, count, metrics)

    def _measured(self, measure: Measure, at: list[int]) -> list[list[Row]]:
        """A measure of some replicas, on the processor: it is no part of the tensor program."""
        taken = self.network(at)
        taken = Network(taken.architecture, {name: value.cpu() for name, value in taken.parameters.items()})
        trials = [self.replicas[r].trial for r in at]
        return measure.rows(taken, self.trial.task, [trial.seed for trial in trials], lambda: drawn(trials))


def drawn(trials: Sequence[Trial]) -> Network:
    """The replicas of a cohort before their first update."""
    first = trials[0]
    return draw(first.architecture, [trial.init for trial in trials], [trial.seed for trial in trials], first.lag)


@dataclass
class _Window:
    """Training values since the last evaluation."""

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

    def kept(self, leaving: list[int]) -> _Window:
        """The same for the replicas that stay."""
        if not leaving:
            return self
        keep = [r for r in range(len(self.loss[0])) if r not in leaving] if self.loss else []
        return _Window(*([value[keep] for value in values] for values in (self.loss, self.norm, self.over)))


def provenance(trial: Trial) -> dict[str, str]:
    """What a result depends on besides the trial: versions, machine, threads; and the network's size."""
    return {
        "farback": version("farback"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "numba": version("numba"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "pid": str(os.getpid()),
        **{name: str(count) for name, count in trial.architecture.counts.items()},
    }


def seconds_per_update(trials: Sequence[Trial], updates: int = 2) -> float:
    """The time of one update of a cohort, measured after one that warms up."""
    with arithmetic():
        cohort = _Cohort.fresh(trials, "cpu")
        rules, limit_R1 = cohort._rules()
        cohort._update(1, rules, limit_R1, _Window())
        started = time.perf_counter()
        for count in range(2, 2 + updates):
            cohort._update(count, rules, limit_R1, _Window())
        return (time.perf_counter() - started) / updates


def fingerprint(trial: Trial) -> bytes:
    """A hash of a trial at step 0: names and values of the weights, the first batch, and the loss on it."""
    with arithmetic(), torch.no_grad():
        cohort = _Cohort.fresh([trial], "cpu")
        first, questions = cohort.network(), cohort.training.next()
        parts = [*first.parameters.values(), *questions, cohort.questions.loss(first, questions)]
        hashed = hashlib.sha256(repr(list(first.parameters)).encode())
        for part in parts:
            hashed.update(repr(tuple(part.shape)).encode())
            hashed.update(part.contiguous().numpy().tobytes())
    return hashed.digest()
