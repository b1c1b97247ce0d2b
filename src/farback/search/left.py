"""Trials of any study whose process may be gone, and giving them up: for those who look after a storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from farback.search.storage import Storage, quiet
from farback.stores import owners


@dataclass(frozen=True)
class Left:
    """A trial that says RUNNING.

    Attributes:
        study: its study's name.
        number: Optuna's.
        trial_id: Optuna's, in all studies.
        owner: the process; "" where it died before it could say.
        is_dead: whether that process is surely gone.
    """

    study: str
    number: int
    trial_id: int
    owner: str
    is_dead: bool


def running(storage: Storage, experiment: str = "") -> list[Left]:
    """The trials that say RUNNING, of one experiment's studies or of all."""
    with quiet(), storage.alone:  # whoever claims a trial says so while it is alone
        return list(_running(storage, experiment))


def _running(storage: Storage, experiment: str) -> Iterator[Left]:
    for study in storage.optuna.get_all_studies():
        if experiment and study.user_attrs.get("experiment") != experiment:
            continue
        for trial in storage.optuna.get_all_trials(study._study_id, deepcopy=False, states=(TrialState.RUNNING,)):
            owner = str(trial.user_attrs.get("owner", ""))
            is_dead = owners.is_dead(owner) or (not owner and storage.is_local)
            yield Left(study.study_name, trial.number, trial._trial_id, owner, is_dead)


def give_up(storage: Any, trial_id: int, reason: str) -> bool:
    """Tell FAIL for a trial whose process is gone, which counts against nobody; False where it has an end already.

    Args:
        storage: Optuna's.
        trial_id: Optuna's.
        reason: for people.
    """
    try:
        storage.set_trial_user_attr(trial_id, "reason", reason)
        storage.set_trial_user_attr(trial_id, "blameless", True)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    return True
