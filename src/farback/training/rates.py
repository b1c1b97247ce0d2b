"""How long the parts of training take on this machine: each run keeps them, and later dry runs read them.

    results/store/rates/MACHINE/KIND.json

MACHINE is a digest of the machine and of the versions of libraries, KIND one of the fields that cohorts share whatever
their lag. The file holds the last cohort of every octave of work and of steps, with the seconds of its parts. No result
depends on these files; they may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from farback.records.record import digest
from farback.system import atomic_files
from farback.system.provenance import machine, versions
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial

NAME = "rates"  # of the folder


class Size(NamedTuple):
    """The size of a cohort: its replicas, and the steps of a sequence."""

    replicas: int
    steps: int

    @classmethod
    def of(cls, cohort: Cohort) -> Size:
        """The size of a cohort."""
        return cls(len(cohort.trials), cohort.trials[0].lag + 1)

    @property
    def work(self) -> int:
        """The steps of all replicas together."""
        return self.replicas * self.steps

    @property
    def octaves(self) -> tuple[int, int]:
        """The octaves of the work and of the steps."""
        return self.work.bit_length(), self.steps.bit_length()

    def is_like(self, other: Size) -> bool:
        """Whether neither the work nor the steps of one are more than twice those of the other."""
        pairs = (self.work, other.work), (self.steps, other.steps)
        return all(max(pair) <= 2 * min(pair) for pair in pairs)


@dataclass(frozen=True)
class CohortSeconds:
    """Seconds for the parts of training a cohort.

    Attributes:
        begin: making the networks and the data for evaluations, before the first update.
        update: one update of all replicas (the cohort's networks), including the drawing of its data.
        evaluation: one evaluation of one replica.
        start: all measures of one replica before its first update.
        way: all measures of one replica during training.
        end: all measures of one replica after its last update.
    """

    begin: float
    update: float
    evaluation: float
    start: float
    way: float
    end: float

    def total(self, cohort: Cohort, share: float) -> float:
        """Seconds for a cohort if each trial needs this share of its updates."""
        trial, replicas = cohort.trials[0], len(cohort.trials)
        updates = max(0.0, share * trial.steps - cohort.step)
        evaluations = updates / trial.evaluate_every * self.evaluation
        each = evaluations + (0.0 if cohort.step else self.start) + self.way + self.end
        return self.begin + updates * self.update + replicas * each


class Stopwatch:
    """Adds up the seconds of the parts of a training: "begin", "update", "evaluation", and the names of measures."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[float, int]]] = {}

    def add(self, part: str, seconds: float, count: int = 1) -> None:
        """Add the seconds of a part that was done `count` times."""
        self.parts.setdefault(part, []).append((seconds, count))

    @contextmanager
    def part(self, part: str, count: int = 1) -> Iterator[None]:
        """Add the seconds of this block."""
        began = time.perf_counter()
        yield
        self.add(part, time.perf_counter() - began, count)

    @property
    def is_cold(self) -> bool:
        """Whether all updates were done in one turn, whose seconds include those of loading kernels."""
        return len(self.parts.get("update", ())) == 1

    def seconds(self, trial: Trial) -> CohortSeconds | None:
        """The mean seconds of each part for trials of this shape; None if a part was never done."""
        needed = {"begin", "evaluation", *(["update"] * bool(trial.steps)), *(one.name for one in trial.measures)}
        if not needed <= self.parts.keys():
            return None
        measures = [(each, self._mean(each.name)) for each in trial.measures]
        return CohortSeconds(
            begin=self._mean("begin"),
            update=self._mean("update") if trial.steps else 0.0,
            evaluation=self._mean("evaluation"),
            start=sum(seconds for measure, seconds in measures if measure.is_due(0)),
            way=sum(seconds * sum(type(at) is int for at in measure.at) for measure, seconds in measures),
            end=sum(seconds for measure, seconds in measures if "end" in measure.at),
        )

    def _mean(self, part: str) -> float:
        """The mean without the first time, which loads kernels and allocates memory, if there are others."""
        times = self.parts[part]
        later = times[1:] or times
        return sum(seconds for seconds, _ in later) / sum(count for _, count in later)


def folder(root: Path) -> Path:
    """Where the runs of a project keep them."""
    return root / "results" / "store" / NAME


def kind(trial: Trial) -> str:
    """The kind of a cohort: in cohorts of one kind only the lag and the number of replicas differ."""
    return trial.shape_at_any_lag


def keep(place: Path, cohort: Cohort, device: str, watch: Stopwatch) -> None:
    """Write the seconds of a cohort that was trained from its first update, if the folder that contains `place` exists.

    If they cannot be written, nothing happens.
    """
    trial, size = cohort.trials[0], Size.of(cohort)
    seconds = watch.seconds(trial)
    if seconds is None or not place.parent.is_dir():
        return
    with suppress(OSError):
        path = _path(place, trial, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        by_octaves = {one.octaves: (one, own) for one, own in kept(place, trial, device).items()}
        by_octaves[size.octaves] = (size, seconds)
        with atomic_files.aside(path) as unfinished:
            unfinished.write_text(json.dumps([[*one, asdict(own)] for one, own in by_octaves.values()]))


def kept(place: Path, trial: Trial, device: str) -> dict[Size, CohortSeconds]:
    """What runs on this machine have kept of cohorts of the trial's kind."""
    try:
        entries = json.loads(_path(place, trial, device).read_text())
        return {
            Size(int(replicas), int(steps)): CohortSeconds(**{name: float(value) for name, value in parts.items()})
            for replicas, steps, parts in entries
        }
    except (OSError, ValueError, TypeError, AttributeError):  # no file, or one that was damaged
        return {}


def _path(place: Path, trial: Trial, device: str) -> Path:
    own = digest([machine(), versions(), platform.node(), os.cpu_count(), device])
    return place / own / f"{kind(trial)}.json"
