"""A setting while it is trained, and what the store is told of its runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from farback.experiment import Experiment, Search
from farback.runs.search.study import LEASE_SECONDS, Claim, Study, study_name
from farback.runs.search.winners import Winner
from farback.stores.views import SearchViews
from farback.trials.trial import Trial


@dataclass
class Asked:
    """One of Optuna's trials while it is trained.

    Attributes:
        study: whose.
        claim: its number and parameters.
        trials: one for each search seed.
        waiting: those not yet given out.
        values: the objectives of those that ended, by key.
        failures: why others failed, by key.
        skills: of the seeds on the way, by update and key.
        hopeless: what the pruner said last.
    """

    study: Study
    claim: Claim
    trials: list[Trial]
    waiting: list[Trial] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skills: dict[int, dict[str, float]] = field(default_factory=dict)
    hopeless: bool = False

    @property
    def given_out(self) -> list[Trial]:
        """The trials that are trained, or were."""
        return self.trials[: len(self.trials) - len(self.waiting)]

    @property
    def is_back(self) -> bool:
        """Whether all of those have ended."""
        return all(trial.key in self.values or trial.key in self.failures for trial in self.given_out)

    def means(self) -> list[float]:
        """The objectives, over the seeds that ended."""
        return [float(mean) for mean in np.mean(list(self.values.values()), axis=0)]

    def said(self) -> dict[str, str]:
        """What the store is told of its runs when they begin."""
        group = self.study.group.label
        return {
            "study": self.study.name,
            "phase": "search",
            "group": group or self.study.experiment.name,
            "setting": f"{group} #{self.claim.slot}".strip(),  # Optuna gives another number to one that is tried again
            "optuna.number": str(self.claim.number),
            "optuna.state": "running",
        }


def reported(experiment: Experiment, winner: Winner) -> dict[str, str]:
    """What the store is told of a winner's runs from fresh seeds."""
    assert experiment.search is not None
    group = next(group for group in experiment.search.groups if group.label == winner.group)
    return {
        "study": study_name(experiment, group),
        "phase": "report",
        "group": winner.group or experiment.name,
        "setting": f"{winner.group} {winner.setting} (#{winner.slot})".strip(),
        "optuna.number": str(winner.number),
        "optuna.state": "complete",
        "optuna.value": ", ".join(f"{number:.6g}" for number in winner.values),
    }


class Pulse:
    """Counts up on every trial that this process trains, several times within a lease. Off where storage is local."""

    def __init__(self, is_local: bool) -> None:
        self.trials: dict[tuple[str, int], Study] = {}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = None if is_local else threading.Thread(target=self._beat, daemon=True, name="farback-pulse")

    def add(self, study: Study, trial_id: int) -> None:
        """Begin with a trial."""
        with self._lock:
            self.trials[study.name, trial_id] = study

    def remove(self, study: Study, trial_id: int) -> None:
        """End with it."""
        with self._lock:
            self.trials.pop((study.name, trial_id), None)

    def _beat(self) -> None:
        count = 0
        while not self._ended.wait(LEASE_SECONDS / 6):
            count += 1
            with self._lock:
                alive = list(self.trials.items())
            for (_, trial_id), study in alive:
                study.note(trial_id, pulse=count)

    def __enter__(self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()


def viewed(search: Search, settings: Sequence[str] = ()) -> SearchViews:
    """The searched parameters, objectives and groups by the names that runs have.

    Args:
        search: the search.
        settings: those that are trained on fresh seeds, as their runs name them.
    """
    tree, _ = search.walk(search.groups[0], lambda one: one.levels[0])
    flat = Trial.model_validate({**tree.plain, "seed": 0}).parameters()
    paths = dict.fromkeys(one.path if one.path in flat else f"{one.path}.name" for one in search.space)
    goals = zip(search.objectives, search.directions, strict=True)
    objectives = tuple((goal.name, direction == "maximize") for goal, direction in goals)
    return SearchViews(tuple(paths), objectives, tuple(group.label for group in search.groups), tuple(settings))
