"""The reference store: everything in this process, nothing afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from farback.stores.base import Recorded, Store, checked_name, tidy
from farback.stores.views import SearchViews
from farback.trials.events import SCORE_COLUMNS, Entry, Failed, Finished, Progress, Stopped
from farback.trials.trial import Trial


@dataclass
class Summary:
    """What `summarise` was given last."""

    note: str
    metrics: dict[str, float]
    files: dict[str, bytes]


@dataclass
class _Experiment:
    claims: dict[str, Memory] = field(default_factory=dict)
    question: str = ""
    study: SearchViews | None = None
    trials: dict[str, Trial] = field(default_factory=dict)
    results: dict[str, Recorded] = field(default_factory=dict)
    provenance: dict[str, dict[str, str]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    summary: Summary | None = None


class Memory(Store):
    """Records in dictionaries. Read `progress`, `failures`, `stopped` and `experiments` to see what else was put."""

    def __init__(self, beside: Memory | None = None) -> None:
        """Empty, or another driver's hold on the same dictionaries.

        Args:
            beside: the other driver's.
        """
        self.experiments: dict[str, _Experiment] = beside.experiments if beside else {}
        self.progress: list[Progress] = []
        self.failures: list[Failed] = []
        self.stopped: list[Stopped] = []
        self._now = ""

    def begin(
        self,
        experiment: str,
        trials: Sequence[Trial],
        *,
        question: str = "",
        config_text: str = "",
        study: SearchViews | None = None,
    ) -> None:
        """See Store."""
        if checked_name(experiment) != self._now:
            self.close()
        self._now = experiment
        entry = self.experiments.setdefault(experiment, _Experiment())
        entry.question = question or entry.question
        entry.study = study or entry.study
        entry.trials |= {trial.key: trial for trial in trials}

    def finished(self, keys: Iterable[str]) -> set[str]:
        """See Store."""
        return set(keys) & set(self._begun().results)

    def claim(self, keys: Iterable[str]) -> set[str]:
        """See Store."""
        entry = self._begun()
        free = set(keys) - entry.results.keys()
        return {key for key in free if entry.claims.setdefault(key, self) is self}

    def release(self, keys: Iterable[str]) -> None:
        """See Store."""
        claims = self._begun().claims
        for key in keys:
            if claims.get(key) is self:
                del claims[key]

    def put(self, event: Entry) -> None:
        """See Store."""
        entry = self._begun()
        if event.key not in entry.trials:
            raise ValueError(f"{event.key} is none of the trials that {self._now} began with")
        if isinstance(event, Finished):
            result = event.result
            columns = entry.trials[event.key].columns()
            rows = list(result.scores[SCORE_COLUMNS].itertuples(index=False, name=None))
            entry.results[event.key] = Recorded(columns, result.status, rows)
            said = result.provenance.items()
            entry.provenance[event.key] = {name: text for name, text in said if name != "pid"}
        elif isinstance(event, Failed):
            self.failures.append(event)
        elif isinstance(event, Stopped):
            self.stopped.append(event)
        else:
            self.progress.append(event)

    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        """See Store."""
        entry = self._begun()
        if key not in entry.trials:
            raise ValueError(f"{key} is none of the trials that {self._now} began with")
        entry.tags.setdefault(key, {}).update(tags)
        entry.metrics.setdefault(key, {}).update(metrics or {})

    def frame(self, experiment: str) -> pd.DataFrame:
        """See Store."""
        entry = self.experiments.get(experiment)
        return tidy(entry.results.values() if entry else ())

    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        """See Store."""
        entry = self.experiments.get(experiment)
        return {key: dict(said) for key, said in entry.provenance.items()} if entry else {}

    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        """See Store."""
        if experiment not in self.experiments:
            raise ValueError(f"nothing is recorded of {experiment!r}")
        contents = {path.name: path.read_bytes() for path in files}
        self.experiments[experiment].summary = Summary(note, dict(metrics or {}), contents)

    def close(self) -> None:
        """See Store."""
        for entry in self.experiments.values():
            for key in [key for key, driver in entry.claims.items() if driver is self]:
                del entry.claims[key]

    def _begun(self) -> _Experiment:
        if not self._now:
            raise ValueError("call begin first")
        return self.experiments[self._now]
