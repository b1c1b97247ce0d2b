"""The only training loop: one cohort in, a stream of events out.

A cohort is R trials of one shape. Everything is one tensor program over the replicas, and no operation mixes them, so
each trial's numbers are, bit for bit, those it would have alone. A replica leaves the program when it is done: at the
last update, after sustained success, or when its loss is no longer finite.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from farback.kernels import buffer_pool
from farback.measures.retention import scored
from farback.training import checkpoint
from farback.training.replicas import Replicas, Window
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Finished, Paused, Pruned, Request, Status, TrialResult, scores
from farback.trials.provenance import provenance
from farback.trials.trial import Trial


def train(
    cohort: Cohort, checkpoint_seconds: float = 60.0, device: str = "cpu"
) -> Generator[Event | None, Request | None, None]:
    """Train a cohort.

    Args:
        cohort: trials of one shape, and where they go on from.
        checkpoint_seconds: between two checkpoints of every replica; part of no trial's identity.
        device: where; nor is that.

    Yields:
        Progress of each replica at every evaluation, and Finished once for each, as it leaves; a Checkpoint of each
        every `checkpoint_seconds`. None after every update, so that the caller can send a Request: replicas that it
        drops leave with Pruned; if it asks to finish, all leave with a Checkpoint and Paused.
    """
    try:
        with arithmetic():
            yield from _Training(checkpoint.replicas(cohort, device), cohort.step, checkpoint_seconds).events()
    finally:
        buffer_pool.release()


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


class _Training:
    """The course of a cohort's training: what happens after which update.

    Args:
        replicas: as they are now.
        count: updates done.
        seconds: between checkpoints.
    """

    def __init__(self, replicas: Replicas, count: int, seconds: float) -> None:
        self.replicas = replicas
        self.count = count
        self.steps = replicas.trial.steps
        self.seconds = seconds
        self.saved = time.monotonic()  # when the last checkpoints were made

    def events(self) -> Generator[Event | None, Request | None, None]:
        """Train to the end."""
        replicas = self.replicas
        # Where they go on, all is shown again: it may be another run that listens. And a list takes no wish.
        for event in [event for replica in replicas.each for event in replica.shown]:  # noqa: UP028
            yield event
        if self.steps and not self.count:
            yield from self._take(self._all(), end=False)
        while self.count < self.steps:
            self.count += 1
            yield from self._update()
            wish = (yield None) or Request()
            yield from self._heed(wish)
            if not replicas.each:
                return
        lost = [r for r, replica in enumerate(replicas.each) if not replica.finite]  # by the last update itself
        yield from self._leave(lost, "diverged")
        yield from self._leave(self._all(), "finished")

    def _all(self) -> list[int]:
        return list(range(len(self.replicas.each)))

    def _update(self) -> Iterator[Event]:
        """One update of every replica, and what is due after it."""
        replicas, trial = self.replicas, self.replicas.trial
        finite_R = replicas.update(self.count)
        yield from self._leave([r for r, finite in enumerate(finite_R) if not finite], "diverged")
        if replicas.each and (self.count % trial.evaluate_every == 0 or self.count == self.steps):
            solved = yield from self._evaluate()
            yield from self._leave(solved if self.count < self.steps else [], "finished")
        if replicas.each and self.count < self.steps:
            yield from self._take(self._all(), end=False)

    def _evaluate(self) -> Generator[Event, Any, list[int]]:
        """Validate every replica; returns those whose success is sustained."""
        solved, means = [], self.replicas.window.means()
        for r, replica in enumerate(self.replicas.each):
            accuracy, loss = self.replicas.validated(r)
            replica.finite = math.isfinite(loss)
            now = scored(replica.trial.task, accuracy, loss)
            metrics = {name: values[r] for name, values in means.items()}
            metrics |= {"valid/skill": now.skill, "valid/accuracy": accuracy, "valid/loss": loss}
            for name, value in metrics.items():
                measure, statistic = name.split("/")
                replica.rows.append((measure, self.count, -1, statistic, value))
            yield replica.progress(self.count, metrics)
            if replica.solved(now.skill):
                solved.append(r)
        self.replicas.window = Window()
        return solved

    def _heed(self, wish: Request) -> Iterator[Event]:
        """Let go of what is not wanted any more; make checkpoints where it is time, or the end."""
        dropped = [r for r, key in enumerate(self.replicas.keys) if key in wish.dropped]
        keys = [self.replicas.keys[r] for r in dropped]
        self.replicas.without(dropped)
        for key in keys:
            yield Pruned(key, self.count)
        if wish.finish or time.monotonic() - self.saved >= self.seconds:
            for r, replica in enumerate(self.replicas.each):
                yield checkpoint.checkpoint(
                    self.replicas, r, self.count, provenance(replica.trial, self.replicas.device)
                )
            self.saved = time.monotonic()
        if wish.finish:
            keys = self.replicas.keys
            self.replicas.without(self._all())
            for key in keys:
                yield Paused(key, self.count)

    def _leave(self, leaving: list[int], status: Status) -> Iterator[Event]:
        """End some replicas, measuring what they became, and go on without them."""
        if not leaving:
            return
        yield from self._take(leaving, end=True)
        results = []
        for replica in (self.replicas.each[r] for r in leaving):
            table = scores([*replica.rows, ("training", self.count, -1, "updates", float(self.count))])
            made = checkpoint.joined(replica.before, provenance(replica.trial, self.replicas.device))
            results.append(TrialResult(replica.trial.key, table, status, made))
        self.replicas.without(leaving)
        for result in results:
            yield Finished(result)

    def _take(self, at: list[int], end: bool) -> Iterator[Event]:
        """Take the measures of some replicas that are wanted after so many updates, and show what they say."""
        for measure in self.replicas.trial.measures:
            if not (measure.taken(self.count) or (end and "end" in measure.at)):
                continue
            each = [self.replicas.each[r] for r in at]
            for replica, rows in zip(each, self.replicas.measured(measure, at), strict=True):
                replica.rows += [(measure.name, self.count, row.lag, row.statistic, row.value) for row in rows]
                if measure.at != ("end",):
                    shown = {f"{measure.name}/{name}": value for name, value in measure.live(rows).items()}
                    yield replica.progress(self.count, shown)


def fingerprint(trial: Trial) -> bytes:
    """A hash of a trial at step 0: names and values of the weights, the first batch, and the loss on it."""
    with arithmetic(), torch.no_grad():
        replicas = Replicas([trial])
        first, questions = replicas.network(), replicas.training.next()
        parts = [*first.parameters.values(), *questions, replicas.asked.loss(first, questions)]
        hashed = hashlib.sha256(repr(list(first.parameters)).encode())
        for part in parts:
            hashed.update(repr(tuple(part.shape)).encode())
            hashed.update(part.contiguous().numpy().tobytes())
    return hashed.digest()
