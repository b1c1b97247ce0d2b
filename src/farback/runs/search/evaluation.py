"""A setting while its trials train, and what is recorded about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from farback.experiment import Search
from farback.runs.search.study import GroupStudy, TakenTrial, study_name
from farback.runs.search.winners import Winner
from farback.stores.views import SearchViews
from farback.trials.trial import Trial


@dataclass
class Evaluation:
    """One of Optuna's trials, a setting, while its networks train.

    Attributes:
        study: of its group.
        taken: its number and parameters.
        trials: one for each search seed.
        waiting: those that have not been queued yet.
        values: the objectives of those that ended, by key.
        failures: why others failed, by key.
        skills: validation skill of the seeds, by update and key.
        hopeless: the pruner's last answer.
    """

    study: GroupStudy
    taken: TakenTrial
    trials: list[Trial]
    waiting: list[Trial] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skills: dict[int, dict[str, float]] = field(default_factory=dict)
    hopeless: bool = False

    @property
    def queued(self) -> list[Trial]:
        """The trials that were queued: they wait, train, or have ended."""
        return self.trials[: len(self.trials) - len(self.waiting)]

    @property
    def is_back(self) -> bool:
        """Whether all queued trials have ended."""
        return all(trial.key in self.values or trial.key in self.failures for trial in self.queued)

    def means(self) -> list[float]:
        """The objectives, over the seeds that ended."""
        return [float(mean) for mean in np.mean(list(self.values.values()), axis=0)]

    def tags(self) -> dict[str, str]:
        """The tags of its runs when they begin."""
        group = self.study.group.label
        return {
            "study": self.study.name,
            "phase": "search",
            "group": group or self.study.search.name,
            "setting": f"{group} #{self.taken.slot}".strip(),  # Optuna's number changes when a setting is tried again
            "optuna.number": str(self.taken.number),
            "optuna.state": "running",
        }


def report_tags(search: Search, winner: Winner) -> dict[str, str]:
    """The tags of a winner's runs with fresh seeds."""
    group = next(group for group in search.groups if group.label == winner.group)
    return {
        "study": study_name(search, group),
        "phase": "report",
        "group": winner.group or search.name,
        "setting": f"{winner.group} {winner.setting} (#{winner.slot})".strip(),
        "optuna.number": str(winner.number),
        "optuna.state": "complete",
        "optuna.value": ", ".join(f"{number:.6g}" for number in winner.values),
    }


def search_views(search: Search, settings: Sequence[str] = ()) -> SearchViews:
    """What the tracker's saved views of a search show.

    Args:
        search: the search.
        settings: those that are trained with fresh seeds, as their runs name them.
    """
    tree, _ = search.walk(search.groups[0], lambda one: one.levels[0])
    flat = Trial.model_validate({**tree.plain, "seed": 0}).parameters()
    paths = dict.fromkeys(one.path if one.path in flat else f"{one.path}.name" for one in search.space)
    goals = zip(search.objectives, search.directions, strict=True)
    objectives = tuple((goal.name, direction == "maximize") for goal, direction in goals)
    return SearchViews(tuple(paths), objectives, tuple(group.label for group in search.groups), tuple(settings))
