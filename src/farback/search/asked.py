"""A setting while it is trained, and what the store is told of its runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from farback.experiment import Experiment
from farback.search.study import Claim, Study, study_name
from farback.search.winning import Winner
from farback.trial import Trial


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
