"""The training loop: one cohort in, a stream of events out.

A cohort is R trials of one shape, trained together as R replicas. A replica leaves the cohort after its last update,
after sustained success, or when its loss is no longer finite.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from farback.kernels import buffer_pool
from farback.kernels.symbols import Symbols
from farback.system.arithmetic import arithmetic
from farback.tasks.support.scores import scored
from farback.training import checkpoint, rates
from farback.training.cohort_width import share_bytes
from farback.training.rates import Stopwatch
from farback.training.replicas import Replicas, Window
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Finished, Paused, Pruned, Request, Status, TrialResult, scores
from farback.trials.provenance import provenance
from farback.trials.trial import Trial


def train(
    cohort: Cohort,
    checkpoint_seconds: float = 60.0,
    device: str = "cpu",
    memory: int | None = None,
    kept_rates: Path | None = None,
) -> Generator[Event | None, Request | None, None]:
    """Train a cohort; trials with checkpoints resume. No other argument changes results.

    `memory` is how many bytes an update may keep for its backward pass, by default a share of this machine's memory
    (`cohort_width.share_bytes`). Beyond it, the backward pass computes the steps of the forward pass again.
    `kept_rates` is the folder of `farback.training.rates`, where the seconds of the training are written.

    Yields:
        Progress of each replica at every evaluation; a Checkpoint of each replica every `checkpoint_seconds`; Finished
        when a replica leaves; None after some updates. Then a Request can be sent: trials that it drops leave with
        Pruned; if it asks to finish, every trial gets a Checkpoint and Paused.
    """
    try:
        with arithmetic():
            watch = Stopwatch()
            with watch.part("begin"):
                made = checkpoint.replicas(cohort, device, share_bytes() if memory is None else memory)
            yield from _Training(made, cohort.step, checkpoint_seconds, watch).events()
        if kept_rates and not cohort.step and not watch.is_cold:
            rates.keep(kept_rates, cohort, device, watch)
    finally:
        buffer_pool.release()


class _Training:
    """The training of one cohort, from replicas after `count` updates, with `seconds` between checkpoints."""

    def __init__(self, replicas: Replicas, count: int, seconds: float, watch: Stopwatch) -> None:
        self.replicas, self.count, self.seconds, self.watch = replicas, count, seconds, watch
        self.width = len(replicas.each)
        self.steps = replicas.trial.steps
        self.saved = time.monotonic()  # time of the last checkpoints

    def events(self) -> Generator[Event | None, Request | None, None]:
        """Train until every replica has left."""
        replicas = self.replicas
        # A resumed trial repeats its progress, for a new run in the store. Not `yield from`: a list takes no request.
        for event in [event for replica in replicas.each for event in replica.shown]:  # noqa: UP028
            yield event
        if self.steps and not self.count:
            yield from self._measure(self._all(), end=False)
        while self.count < self.steps:
            yield from self._update()
            request = (yield None) or Request()
            yield from self._handle(request)
            if not replicas.each:
                return
        # The loss of an update is computed before it, so only the evaluation shows that the last update diverged
        yield from self._end([r for r, replica in enumerate(replicas.each) if not replica.finite], "diverged")
        yield from self._end(self._all(), "finished")

    def _all(self) -> list[int]:
        return list(range(len(self.replicas.each)))

    def _update(self) -> Iterator[Event]:
        """Update every replica until something is due, or until a replica diverged; then do what is due.

        Replicas are evaluated and measured, and end if they are done.
        """
        replicas, trial = self.replicas, self.replicas.trial
        began = time.perf_counter()
        done, finite_R = replicas.update(self.count + 1, self._until_due() - self.count)
        if len(replicas.each) == self.width:
            self.watch.add("update", time.perf_counter() - began, done)
        self.count += done
        yield from self._end([r for r, finite in enumerate(finite_R) if not finite], "diverged")
        if replicas.each and (self.count % trial.evaluate_every == 0 or self.count == self.steps):
            solved = yield from self._evaluate()
            yield from self._end(solved if self.count < self.steps else [], "finished")
        if replicas.each and self.count < self.steps:
            yield from self._measure(self._all(), end=False)

    def _until_due(self) -> int:
        """The number of updates after which an evaluation, a measure or the end is due next."""
        trial, due = self.replicas.trial, self.count + 1
        times = [at for measure in trial.measures for at in measure.at if isinstance(at, int) and at >= due]
        return min(self.steps, self.count - self.count % trial.evaluate_every + trial.evaluate_every, *times)

    def _evaluate(self) -> Generator[Event, Any, list[int]]:
        """Validate every replica; return the indices of those with sustained success."""
        solved, means = [], self.replicas.window.means()
        for r, replica in enumerate(self.replicas.each):
            with self.watch.part("evaluation"):
                accuracy, loss = self.replicas.validated(r)
            replica.finite = math.isfinite(loss)
            skill = scored(replica.trial.task.held_out("validation"), accuracy, loss).skill
            metrics = {name: values[r] for name, values in means.items()}
            metrics |= {"valid/skill": skill, "valid/accuracy": accuracy, "valid/loss": loss}
            for name, value in metrics.items():
                measure, statistic = name.split("/")
                replica.rows.append((measure, self.count, -1, statistic, value))
            yield replica.progress(self.count, metrics)
            if replica.solved(skill):
                solved.append(r)
        self.replicas.window = Window()
        return solved

    def _handle(self, request: Request) -> Iterator[Event]:
        """Remove dropped replicas, and yield checkpoints if they are due or the training is to finish."""
        dropped = [r for r, key in enumerate(self.replicas.keys) if key in request.dropped]
        keys = [self.replicas.keys[r] for r in dropped]
        self.replicas.remove(dropped)
        for key in keys:
            yield Pruned(key, self.count)
        if request.finish or time.monotonic() - self.saved >= self.seconds:
            for r, replica in enumerate(self.replicas.each):
                made = provenance(replica.trial, self.replicas.device)
                yield checkpoint.checkpoint(self.replicas, r, self.count, made)
            self.saved = time.monotonic()
        if request.finish:
            keys = self.replicas.keys
            self.replicas.remove(self._all())
            for key in keys:
                yield Paused(key, self.count)

    def _end(self, leaving: list[int], status: Status) -> Iterator[Event]:
        """Take the final measures of some replicas and remove them."""
        if not leaving:
            return
        yield from self._measure(leaving, end=True)
        results = []
        for replica in (self.replicas.each[r] for r in leaving):
            table = scores([*replica.rows, ("training", self.count, -1, "updates", float(self.count))])
            made = checkpoint.joined_provenance(replica.before, provenance(replica.trial, self.replicas.device))
            results.append(TrialResult(replica.trial.key, table, status, made))
        self.replicas.remove(leaving)
        for result in results:
            yield Finished(result)

    def _measure(self, rows: list[int], end: bool) -> Iterator[Event]:
        """Take the measures of some replicas that are due after this update or at the end."""
        for measure in self.replicas.trial.measures:
            if not (measure.is_due(self.count) or (end and "end" in measure.at)):
                continue
            with self.watch.part(measure.name, len(rows)):
                measured = self.replicas.measured(measure, rows)
            for r, values in zip(rows, measured, strict=True):
                replica = self.replicas.each[r]
                replica.rows += [(measure.name, self.count, row.lag, row.statistic, row.value) for row in values]
                if measure.at != ("end",):
                    metrics = {f"{measure.name}/{name}": value for name, value in measure.live(values).items()}
                    yield replica.progress(self.count, metrics)


def fingerprint(trial: Trial) -> bytes:
    """A hash of a trial before its first update: names and values of the weights, the first batch, and its loss."""
    with arithmetic(), torch.no_grad():
        replicas = Replicas([trial])
        first, batch = replicas.network(), replicas.training.next()
        trained = replace(first, seeds=replicas.seeds(1))
        x = batch.x_RTBI
        inputs = (x.code_RTB, x.rows_CI) if isinstance(x, Symbols) else (x,)
        parts = [*first.parameters.values(), *inputs, *batch[1:], replicas.scored.loss(trained, batch)]
        hashed = hashlib.sha256(repr(list(first.parameters)).encode())
        for part in parts:
            hashed.update(repr(tuple(part.shape)).encode())
            hashed.update(part.contiguous().numpy().tobytes())
    return hashed.digest()
