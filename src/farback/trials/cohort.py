"""Cohorts: trials of one shape that train together, one replica each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from farback.trials.events import Checkpoint
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Cohort:
    """One or more trials of one shape that train together, and the checkpoints from which they resume.

    `start` has a checkpoint for each trial, in the same order and all of the same step; empty without checkpoints.
    """

    trials: tuple[Trial, ...]
    start: tuple[Checkpoint, ...] = ()

    def __post_init__(self) -> None:
        if len({trial.shape for trial in self.trials}) != 1:
            raise ValueError("a cohort contains trials of one shape: make cohorts with farback.trials.cohort.cohorts")
        if self.start and [one.key for one in self.start] != self.keys:
            raise ValueError(f"the checkpoints are of {[one.key for one in self.start]}, the trials are {self.keys}")
        if len({one.step for one in self.start}) > 1:
            raise ValueError(f"checkpoints of a cohort must be of one step, got {[one.step for one in self.start]}")

    @classmethod
    def of(cls, *trials: Trial) -> Cohort:
        """A cohort that starts from the beginning."""
        return cls(trials)

    @property
    def keys(self) -> list[str]:
        """The keys of the trials."""
        return [trial.key for trial in self.trials]

    @property
    def step(self) -> int:
        """The number of updates already done."""
        return self.start[0].step if self.start else 0

    def only(self, keys: Collection[str]) -> list[Cohort]:
        """A list with the cohort of the trials with these keys, or an empty list if there are none."""
        trials = tuple(trial for trial in self.trials if trial.key in keys)
        start = tuple(one for one in self.start if one.key in keys)
        return [Cohort(trials, start)] if trials else []

    def halves(self) -> list[Cohort]:
        """The cohort split into two, or only itself if it has one trial."""
        middle = len(self.trials) // 2
        return [half for keys in (self.keys[:middle], self.keys[middle:]) for half in self.only(keys)]


def cohorts(trials: Iterable[Trial], width: int, start: Mapping[str, Checkpoint] | None = None) -> list[Cohort]:
    """Cohorts of at most `width` trials of one shape, in the order of the trials.

    `start` maps keys to checkpoints. Only trials whose checkpoints are of the same step share a cohort.
    """
    start = start or {}
    groups: dict[tuple[str, int], list[Trial]] = {}
    for trial in trials:
        step = start[trial.key].step if trial.key in start else 0
        groups.setdefault((trial.shape, step), []).append(trial)
    packs = [tuple(group[begin : begin + width]) for group in groups.values() for begin in range(0, len(group), width)]
    return [Cohort(pack, tuple(start[trial.key] for trial in pack if trial.key in start)) for pack in packs]
