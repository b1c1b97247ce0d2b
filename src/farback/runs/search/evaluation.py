"""The evaluation of one setting: the trials of its seeds, and the tags of their runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from farback.experiment import Search
from farback.records.setting_text import setting_text
from farback.runs.search.study import GroupStudy, TakenTrial, study_name
from farback.runs.search.winners import Winner
from farback.stores.run_metadata import SETTING_VALUES
from farback.stores.views import SearchViews
from farback.trials.trial import Trial


@dataclass
class Evaluation:
    """One of Optuna's trials (a setting) while its networks train.

    Attributes:
        trials: one for each search seed.
        waiting: trials that are not queued yet.
        values: objectives of the trials that ended, by key.
        failures: errors of the trials that failed, by key.
        skills: validation skill of the trials, by update and key.
        to_prune: whether the pruner, when last asked, wanted to stop the setting.
    """

    study: GroupStudy
    taken: TakenTrial
    trials: list[Trial]
    waiting: list[Trial] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skills: dict[int, dict[str, float]] = field(default_factory=dict)
    to_prune: bool = False

    @property
    def queued(self) -> list[Trial]:
        """The trials that are queued, in training, or ended."""
        return self.trials[: len(self.trials) - len(self.waiting)]

    @property
    def is_back(self) -> bool:
        """Whether all queued trials have ended."""
        return all(trial.key in self.values or trial.key in self.failures for trial in self.queued)

    def means(self) -> list[float]:
        """Each objective's mean over the seeds that ended."""
        return [float(mean) for mean in np.mean(list(self.values.values()), axis=0)]

    def tags(self) -> dict[str, str]:
        """The tags that the MLflow runs of this setting get at their start."""
        group = self.study.group.label
        setting = f"{group} #{self.taken.slot}".strip()  # not Optuna's number, which changes with another attempt
        values = self.taken.values
        return _tags(self.study.search, group, "search", setting, self.taken.number, "running", values)


def report_tags(search: Search, winner: Winner) -> dict[str, str]:
    """The tags of a winner's runs with fresh seeds."""
    setting = f"{winner.group} {winner.setting} (#{winner.slot})".strip()
    searched = {one.path: winner.settings[one.path] for one in search.space if one.path in winner.settings}
    tags = _tags(search, winner.group, "report", setting, winner.number, "complete", searched)
    return {**tags, "optuna.value": ", ".join(f"{number:.6g}" for number in winner.values)}


def _tags(
    search: Search, label: str, phase: str, setting: str, number: int, state: str, values: Mapping[str, Any]
) -> dict[str, str]:
    group = next(group for group in search.groups if group.label == label)
    return {
        "study": study_name(search, group),
        "phase": phase,
        "group": label or search.name,
        "setting": setting,
        SETTING_VALUES: ", ".join(_text(path, value, values) for path, value in values.items()),
        "optuna.number": str(number),
        "optuna.state": state,
    }


def search_views(search: Search, settings: Sequence[str] = ()) -> SearchViews:
    """What MLflow's saved views of a search show; `settings` are the `setting` tags of the runs with fresh seeds."""
    tree, _ = search.walk(search.groups[0], lambda one: one.levels[0])
    parameters = Trial.model_validate({**tree.plain, "seed": 0}).parameters()
    paths = dict.fromkeys(one.path if one.path in parameters else f"{one.path}.name" for one in search.space)
    directions = zip(search.objectives, search.directions, strict=True)
    objectives = tuple((objective.name, direction == "maximize") for objective, direction in directions)
    return SearchViews(tuple(paths), objectives, tuple(group.label for group in search.groups), tuple(settings))


def _text(path: str, value: Any, others: Collection[str]) -> str:
    """A searched value with its word: "lr 0.00312"."""
    rounded = float(f"{value:.3g}") if isinstance(value, float) else value
    return setting_text(path, rounded, others)
