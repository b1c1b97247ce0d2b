"""The reference store: dictionaries in this process. `farback.horizon` and the tests record here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from typing_extensions import override

from farback.stores.base import Recorded, Recorder, Store, announced, checked_name, score_rows, tidy
from farback.stores.views import SearchViews
from farback.trials.events import Failed, Finished, Progress, Pruned, Recordable
from farback.trials.trial import Trial


@dataclass
class MemorySummary:
    """The last arguments of `summarise`."""

    note: str
    metrics: dict[str, float]
    tags: dict[str, str]
    files: dict[str, bytes]


@dataclass
class MemoryExperiment:
    """What is recorded of one experiment."""

    question: str = ""
    views: SearchViews | None = None
    leases: dict[str, MemoryRecorder] = field(default_factory=dict)
    results: dict[str, Recorded] = field(default_factory=dict)
    provenance: dict[str, dict[str, str]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    summary: MemorySummary | None = None


class Memory(Store):
    """Records in dictionaries. The attributes `progress`, `failures`, `stopped` and `experiments` hold everything."""

    def __init__(self) -> None:
        self.experiments: dict[str, MemoryExperiment] = {}
        self.progress: list[Progress] = []
        self.failures: list[Failed] = []
        self.stopped: list[Pruned] = []

    @override
    def begin(
        self,
        experiment: str,
        trials: Iterable[Trial] = (),
        *,
        question: str = "",
        config_text: str = "",
        views: SearchViews | None = None,
    ) -> MemoryRecorder:
        entry = self.experiments.setdefault(checked_name(experiment), MemoryExperiment())
        entry.question = question or entry.question
        recorder = MemoryRecorder(self, entry)
        recorder.add(trials, views)
        return recorder

    @override
    def finished(self, experiment: str, keys: Iterable[str]) -> set[str]:
        entry = self.experiments.get(experiment)
        return set(keys) & entry.results.keys() if entry else set()

    @override
    def has_running(self, experiment: str) -> bool:
        return False

    @override
    def frame(self, experiment: str) -> pd.DataFrame:
        entry = self.experiments.get(experiment)
        return tidy(entry.results.values() if entry else ())

    @override
    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        entry = self.experiments.get(experiment)
        return {key: dict(made) for key, made in entry.provenance.items()} if entry else {}

    @override
    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Sequence[Path] = (),
        question: str = "",
        config_text: str = "",
    ) -> None:
        if experiment not in self.experiments:
            raise ValueError(f"nothing is recorded of {experiment!r}")
        contents = {path.name: path.read_bytes() for path in files}
        self.experiments[experiment].summary = MemorySummary(note, dict(metrics or {}), dict(tags or {}), contents)


class MemoryRecorder(Recorder):
    """One experiment of a `Memory` store, open for one driver."""

    def __init__(self, store: Memory, entry: MemoryExperiment) -> None:
        self.store, self.entry = store, entry
        self.trials: dict[str, Trial] = {}

    @override
    def add(self, trials: Iterable[Trial], views: SearchViews | None = None) -> None:
        self.trials |= {trial.key: trial for trial in trials}
        self.entry.views = views or self.entry.views

    @override
    def lease(self, keys: Iterable[str]) -> set[str]:
        free = set(keys) - self.entry.results.keys()
        return {key for key in free if self.entry.leases.setdefault(key, self) is self}

    @override
    def release(self, keys: Iterable[str]) -> None:
        for key in keys:
            if self.entry.leases.get(key) is self:
                del self.entry.leases[key]

    @override
    def put(self, event: Recordable) -> None:
        trial = announced(self.trials, event.key)
        if isinstance(event, Finished):
            result = event.result
            self.entry.results[event.key] = Recorded(trial.columns(), result.status, score_rows(result.scores))
            made = result.provenance.items()
            self.entry.provenance[event.key] = {name: text for name, text in made if name != "pid"}
        elif isinstance(event, Failed):
            self.store.failures.append(event)
        elif isinstance(event, Pruned):
            self.store.stopped.append(event)
        else:
            self.store.progress.append(event)

    @override
    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        announced(self.trials, key)
        self.entry.tags.setdefault(key, {}).update(tags)
        self.entry.metrics.setdefault(key, {}).update(metrics or {})

    @override
    def close(self) -> None:
        for key in [key for key, driver in self.entry.leases.items() if driver is self]:
            del self.entry.leases[key]
