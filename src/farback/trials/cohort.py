"""Trials of one shape that train together, one replica each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from farback.trials.events import Checkpoint
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Cohort:
    """Trials of one shape that train together, and where they go on from.

    Attributes:
        trials: at least one.
        start: a checkpoint for each trial, in their order and all of one step; none where they begin.
    """

    trials: tuple[Trial, ...]
    start: tuple[Checkpoint, ...] = ()

    def __post_init__(self) -> None:
        if len({trial.shape for trial in self.trials}) != 1:
            raise ValueError("a cohort holds trials of one shape: pack them with farback.trials.cohort.cohorts")
        if self.start and [one.key for one in self.start] != self.keys:
            raise ValueError(f"the checkpoints {[one.key for one in self.start]} are not those of {self.keys}")
        if len({one.step for one in self.start}) > 1:
            raise ValueError(f"the checkpoints of a cohort are of one step, got {[one.step for one in self.start]}")

    @classmethod
    def of(cls, *trials: Trial) -> Cohort:
        """Trials from their beginning."""
        return cls(trials)

    @property
    def keys(self) -> list[str]:
        """Of the trials."""
        return [trial.key for trial in self.trials]

    @property
    def step(self) -> int:
        """How many updates were done before."""
        return self.start[0].step if self.start else 0

    def only(self, keys: Collection[str]) -> list[Cohort]:
        """The cohort without the other trials; none where nothing is left."""
        trials = tuple(trial for trial in self.trials if trial.key in keys)
        start = tuple(one for one in self.start if one.key in keys)
        return [Cohort(trials, start)] if trials else []

    def halves(self) -> list[Cohort]:
        """Two cohorts in its place; itself where it has one trial."""
        middle = len(self.trials) // 2
        pairs = [(self.trials[:middle], self.start[:middle]), (self.trials[middle:], self.start[middle:])]
        return [Cohort(trials, start) for trials, start in pairs if trials]


def cohorts(trials: Iterable[Trial], width: int, start: Mapping[str, Checkpoint] | None = None) -> list[Cohort]:
    """Pack trials of one shape together, at most `width` to a cohort, in the order they came.

    Args:
        trials: what has to be trained.
        width: trials of a cohort, at most.
        start: checkpoints by key: trials go on together where these are of one step.
    """
    start = start or {}
    packs: dict[tuple[str, int], list[list[Trial]]] = {}
    for trial in trials:
        step = start[trial.key].step if trial.key in start else 0
        open_packs = packs.setdefault((trial.shape, step), [[]])
        if len(open_packs[-1]) == width:
            open_packs.append([])
        open_packs[-1].append(trial)
    return [
        Cohort(tuple(pack), tuple(start[trial.key] for trial in pack if trial.key in start))
        for open_packs in packs.values()
        for pack in open_packs
    ]
