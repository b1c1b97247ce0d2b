"""How a budget is kept exactly: a study of N trials has N slots, and every trial of Optuna's fills one of them.

A slot begins as a waiting trial; whoever gets it from waiting to running, which one process can, trains it. A slot
whose trial failed gets another with the same parameters, a bounded number of times. Nothing here is remembered
elsewhere: what is missing is read from the study itself, so that a process may be killed between any two calls. Where
several processes make the same trial of a slot at once (a database server lets them), the one with the lowest number is
it, and the others are void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

MOST_ATTEMPTS = 3  # of a slot: a worker may be killed, but what fails three times is not the machine's fault


@dataclass(frozen=True)
class Slot:
    """One unit of the budget and the trials that were made for it, by attempt."""

    index: int
    attempts: tuple[FrozenTrial, ...]

    @property
    def last(self) -> FrozenTrial | None:
        """The trial that counts; None where the slot has none yet."""
        return self.attempts[-1] if self.attempts else None

    @property
    def state(self) -> TrialState | None:
        """Of that trial."""
        return self.last.state if self.last else None

    @property
    def is_done(self) -> bool:
        """Complete, pruned, or failed for good."""
        if self.last is None:
            return False
        if self.last.state is TrialState.FAIL:
            return not self.is_to_be_tried_again
        return bool(self.last.state.is_finished())

    @property
    def is_to_be_tried_again(self) -> bool:
        """Whether its trial failed, and not for good. One whose process was killed is not to blame for that."""
        if self.last is None or self.last.state is not TrialState.FAIL or self.last.user_attrs.get("final"):
            return False
        return sum(not trial.user_attrs.get("blameless") for trial in self.attempts) < MOST_ATTEMPTS


def slots(trials: Sequence[FrozenTrial], total: int = 0) -> list[Slot]:
    """The slots of a study: those that its trials fill, and the rest up to `total`."""
    found: dict[int, dict[int, FrozenTrial]] = {index: {} for index in range(total)}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if "slot" in trial.user_attrs:
            attempts = found.setdefault(int(trial.user_attrs["slot"]), {})
            attempts.setdefault(int(trial.user_attrs["attempt"]), trial)
    return [
        Slot(index, tuple(attempts[attempt] for attempt in sorted(attempts)))
        for index, attempts in sorted(found.items())
    ]


def void(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that were made twice for one attempt of a slot, or for none: they never count."""
    valid = {trial.number for slot in slots(trials) for trial in slot.attempts}
    return [trial for trial in trials if trial.number not in valid]


def wanted(trials: Sequence[FrozenTrial], total: int, first: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """The waiting trials that a study of `total` slots lacks, as the arguments of `Study.enqueue_trial`.

    Args:
        trials: what the study has.
        total: its budget.
        first: parameters of slots that are known beforehand, as a grid's are.
    """
    lacking = []
    for slot in slots(trials, total):
        last = slot.last
        if last is None:
            params = first[slot.index] if slot.index < len(first) else {}
            lacking.append({"params": params, "user_attrs": {"slot": slot.index, "attempt": 1}})
        elif slot.is_to_be_tried_again:
            attempt = int(last.user_attrs["attempt"]) + 1
            params = last.params or dict(last.system_attrs.get("fixed_params", {}))
            lacking.append({"params": params, "user_attrs": {"slot": slot.index, "attempt": attempt}})
    return lacking
