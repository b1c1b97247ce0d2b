"""Keeps the budget of a study exactly: a budget of N trials has N slots, each for one setting.

A slot starts as one of Optuna's trials that is waiting. One process changes it to running and trains it. If the trial
fails, the slot gets another trial with the same parameters, up to `MOST_ATTEMPTS` in all. Slots are read from the study
itself, so a process may be killed between any two calls. Several processes on a database server may create the trial
of a slot twice: the one with the lowest number counts, the others are duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

MOST_ATTEMPTS = 3  # per slot: a worker may be killed by chance


@dataclass(frozen=True)
class Slot:
    """One unit of the budget, with its trials by attempt."""

    index: int
    attempts: tuple[FrozenTrial, ...]

    @property
    def last(self) -> FrozenTrial | None:
        """The last attempt, which counts; None if there is none yet."""
        return self.attempts[-1] if self.attempts else None

    @property
    def state(self) -> TrialState | None:
        """The state of the last attempt."""
        return self.last.state if self.last else None

    @property
    def is_done(self) -> bool:
        """Whether the slot is complete, pruned, or failed without another attempt."""
        return self.state is not None and self.state.is_finished() and not self.is_to_retry

    @property
    def is_to_retry(self) -> bool:
        """Whether the last attempt failed and another one follows. A killed process does not count as a failure."""
        if self.last is None or self.last.state is not TrialState.FAIL or self.last.user_attrs.get("final"):
            return False
        return sum(not trial.user_attrs.get("blameless") for trial in self.attempts) < MOST_ATTEMPTS


def slots(trials: Sequence[FrozenTrial], total: int = 0) -> list[Slot]:
    """The slots of a study: those that its trials fill, and empty ones up to `total`."""
    attempts: dict[int, dict[int, FrozenTrial]] = {index: {} for index in range(total)}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if "slot" in trial.user_attrs:
            own = attempts.setdefault(int(trial.user_attrs["slot"]), {})
            own.setdefault(int(trial.user_attrs["attempt"]), trial)
    return [Slot(index, tuple(own[attempt] for attempt in sorted(own))) for index, own in sorted(attempts.items())]


def duplicates(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that do not count: a second trial for one attempt of a slot, or a trial without a slot."""
    valid = {trial.number for slot in slots(trials) for trial in slot.attempts}
    return [trial for trial in trials if trial.number not in valid]


def lacking(trials: Sequence[FrozenTrial], total: int, first: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """The trials that a study of `total` slots lacks, as arguments of `Study.enqueue_trial`.

    `first` has the parameters of the first slots if they are fixed: the points of a grid, or the default setting.
    """
    enqueued = []
    for slot in slots(trials, total):
        last = slot.last
        if last is None:
            params = first[slot.index] if slot.index < len(first) else {}
            enqueued.append({"params": params, "user_attrs": {"slot": slot.index, "attempt": 1}})
        elif slot.is_to_retry:
            attempt = int(last.user_attrs["attempt"]) + 1
            params = last.params or dict(last.system_attrs.get("fixed_params", {}))
            enqueued.append({"params": params, "user_attrs": {"slot": slot.index, "attempt": attempt}})
    return enqueued
