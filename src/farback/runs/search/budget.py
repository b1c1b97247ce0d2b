"""How a budget is kept exactly: a study of N trials has N slots, and each of Optuna's trials fills one of them.

A slot begins as a waiting trial; one process can change it to running, and trains it. A slot whose trial failed gets
another trial with the same parameters, a bounded number of times. What is missing is read from the study itself, so
that a process may be killed between any two calls. If several processes make the same trial of a slot at once, which a
database server allows, the one with the lowest number counts and the others are duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

MOST_ATTEMPTS = 3  # of a slot: one worker may be killed by chance


@dataclass(frozen=True)
class Slot:
    """One unit of the budget, with its trials by attempt."""

    index: int
    attempts: tuple[FrozenTrial, ...]

    @property
    def last(self) -> FrozenTrial | None:
        """The trial that counts; None before there is one."""
        return self.attempts[-1] if self.attempts else None

    @property
    def state(self) -> TrialState | None:
        """State of that trial."""
        return self.last.state if self.last else None

    @property
    def is_done(self) -> bool:
        """Complete, pruned, or failed for good."""
        if self.last is None:
            return False
        if self.last.state is TrialState.FAIL:
            return not self.is_to_retry
        return bool(self.last.state.is_finished())

    @property
    def is_to_retry(self) -> bool:
        """Whether its trial failed, but not for good. A killed process does not count as a failure."""
        if self.last is None or self.last.state is not TrialState.FAIL or self.last.user_attrs.get("final"):
            return False
        return sum(not trial.user_attrs.get("blameless") for trial in self.attempts) < MOST_ATTEMPTS


def slots(trials: Sequence[FrozenTrial], total: int = 0) -> list[Slot]:
    """The slots of a study: those that its trials fill, and empty ones up to `total`."""
    found: dict[int, dict[int, FrozenTrial]] = {index: {} for index in range(total)}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if "slot" in trial.user_attrs:
            attempts = found.setdefault(int(trial.user_attrs["slot"]), {})
            attempts.setdefault(int(trial.user_attrs["attempt"]), trial)
    return [
        Slot(index, tuple(attempts[attempt] for attempt in sorted(attempts)))
        for index, attempts in sorted(found.items())
    ]


def duplicates(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that were made twice for one attempt of a slot, or for no slot: they never count."""
    valid = {trial.number for slot in slots(trials) for trial in slot.attempts}
    return [trial for trial in trials if trial.number not in valid]


def lacking(trials: Sequence[FrozenTrial], total: int, first: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """The waiting trials that a study of `total` slots lacks, as arguments of `Study.enqueue_trial`.

    Args:
        trials: of the study.
        total: its budget.
        first: parameters of the first slots, if they are known beforehand, as a grid's are.
    """
    found = []
    for slot in slots(trials, total):
        last = slot.last
        if last is None:
            params = first[slot.index] if slot.index < len(first) else {}
            found.append({"params": params, "user_attrs": {"slot": slot.index, "attempt": 1}})
        elif slot.is_to_retry:
            attempt = int(last.user_attrs["attempt"]) + 1
            params = last.params or dict(last.system_attrs.get("fixed_params", {}))
            found.append({"params": params, "user_attrs": {"slot": slot.index, "attempt": attempt}})
    return found
