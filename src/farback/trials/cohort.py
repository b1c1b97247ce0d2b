"""Groups trials of the same shape (`Trial.shape`) into cohorts, which train together. Each trial is one replica."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from farback.trials.events import Checkpoint
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Cohort:
    """One or more trials of the same shape that train together, and the checkpoints from which they resume.

    `start` is empty, or has a checkpoint for each trial, in the order of the trials and all from the same step.
    """

    trials: tuple[Trial, ...]
    start: tuple[Checkpoint, ...] = ()

    def __post_init__(self) -> None:
        if len({trial.shape for trial in self.trials}) != 1:
            raise ValueError("the trials of a cohort must have the same shape: use farback.trials.cohort.cohorts")
        if self.start and [one.key for one in self.start] != self.keys:
            raise ValueError(f"checkpoints of trials {[one.key for one in self.start]} do not fit trials {self.keys}")
        if len({one.step for one in self.start}) > 1:
            raise ValueError(f"a cohort's checkpoints must be of the same step, got {[one.step for one in self.start]}")

    @classmethod
    def of(cls, *trials: Trial) -> Cohort:
        """A cohort without checkpoints: training starts at step 0."""
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
        """The part of the cohort with these keys: a list of one cohort, or an empty list if no trial is left."""
        trials = tuple(trial for trial in self.trials if trial.key in keys)
        start = tuple(one for one in self.start if one.key in keys)
        return [Cohort(trials, start)] if trials else []

    def halves(self) -> list[Cohort]:
        """The cohort split into two, or only itself if it has one trial."""
        middle = len(self.trials) // 2
        return [half for keys in (self.keys[:middle], self.keys[middle:]) for half in self.only(keys)]


def cohorts(trials: Iterable[Trial], width: int, start: Mapping[str, Checkpoint] | None = None) -> list[Cohort]:
    """Cohorts of at most `width` trials of the same shape, in the order of the trials.

    `start` maps trial keys to checkpoints. Trials share a cohort only if their checkpoints are of the same step.
    """
    start = start or {}
    groups: dict[tuple[str, int], list[Trial]] = {}
    for trial in trials:
        step = start[trial.key].step if trial.key in start else 0
        groups.setdefault((trial.shape, step), []).append(trial)
    packs = [tuple(group[begin : begin + width]) for group in groups.values() for begin in range(0, len(group), width)]
    return [Cohort(pack, tuple(start[trial.key] for trial in pack if trial.key in start)) for pack in packs]
