"""The interface of stores: a driver records events of trials, and anyone reads them as a tidy data frame."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from farback.stores.views import SearchViews
from farback.trials.events import SCORE_COLUMNS, Recordable, ScoreRow, scores
from farback.trials.trial import Trial, later_parameters

TRIAL_COLUMNS = ["key", "label", "cell", "init", "task", "trained_lag", "seed"]  # columns of every trial
ORDER = ["task", "label", "trained_lag", "seed", "key"]  # columns by which a frame is sorted


class Recorder(ABC):
    """One experiment open for recording, by one driver. A context manager."""

    @abstractmethod
    def add(self, trials: Iterable[Trial], views: SearchViews | None = None) -> None:
        """Announce more trials, since events have only a trial's key; `views` says what a search's saved views show."""

    @abstractmethod
    def lease(self, keys: Iterable[str]) -> set[str]:
        """Reserve trials to train them; returns the keys that are not finished and that no other driver has leased.

        Leases are advisory: they save work, and no result depends on them (`farback.stores.leases`).
        """

    @abstractmethod
    def release(self, keys: Iterable[str]) -> None:
        """End the leases on trials, whether or not the trials have ended; `close` ends all leases."""

    @abstractmethod
    def put(self, event: Recordable) -> None:
        """Record an event. Progress may be buffered; an ended trial is stored when this returns.

        Raises:
            ValueError: the trial was not announced.
        """

    @abstractmethod
    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        """Attach texts and numbers to a trial, such as the study it belongs to and its value there.

        They go to the trial's finished or current run. A trial without one gets them with its next run, where the texts
        are parameters, too, because MLflow's charts can group by parameters only. A later value of a name replaces an
        earlier one.

        Raises:
            ValueError: the trial was not announced.
        """

    @abstractmethod
    def close(self) -> None:
        """Write buffered progress, and mark trials that have not ended as killed."""

    def abandon(self) -> None:
        """Close after an error, without retries: the store itself may have failed."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


class Store(ABC):
    """Where trials are recorded. A context manager."""

    @abstractmethod
    def begin(
        self,
        experiment: str,
        trials: Iterable[Trial] = (),
        *,
        question: str = "",
        config_text: str = "",
        views: SearchViews | None = None,
    ) -> Recorder:
        """Open an experiment for recording, and announce trials as `Recorder.add` does.

        Trials that dead drivers left unfinished are marked as killed. The question and the config's YAML become part of
        the experiment's description.

        Raises:
            ValueError: the name is empty, too long or has slashes or similar characters.
        """

    @abstractmethod
    def finished(self, experiment: str, keys: Iterable[str]) -> set[str]:
        """The keys of the finished trials among these: converged or diverged, not failed, killed or pruned."""

    @abstractmethod
    def has_running(self, experiment: str) -> bool:
        """Whether a driver is training trials of an experiment, or left some unfinished."""

    @abstractmethod
    def frame(self, experiment: str) -> pd.DataFrame:
        """Every score of every finished trial of an experiment, exactly as it was recorded.

        Returns:
            A row per (trial, measure, step, lag, statistic): the columns of `Trial.columns()`, then status, measure,
            step, lag (-1 where there is none), statistic, value. Trials are sorted by task, label, trained lag, seed
            and key; a trial's own rows keep their order. Empty where nothing is recorded.

        Raises:
            UserError: the scores of a finished trial cannot be read.
        """

    @abstractmethod
    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        """The provenance of each finished trial by key: versions, machine and device, without the process id."""

    @abstractmethod
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
        """Write the one summary of an experiment, replacing an earlier one.

        Args:
            note: the headline table, in Markdown.
            metrics: aggregates by name.
            tags: texts by name; each name contains a "/".
            files: figures, tables and the report; their names must differ.
            question, config_text: as for `begin`.

        Raises:
            ValueError: nothing is recorded of the experiment.
        """

    def close(self) -> None:  # noqa: B027 - most stores hold nothing open
        """Close connections. Each recorder is closed by its own `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def checked_name(experiment: str) -> str:
    """The name of an experiment, if it can be the name of a folder and fits into MLflow's pages.

    Raises:
        ValueError: the name has other characters, or is too long.
    """
    if not re.fullmatch(r"\w[\w .+-]{0,79}", experiment) or experiment != experiment.strip():
        raise ValueError(f"an experiment's name is up to 80 letters, digits, spaces or _ . + -, got {experiment!r}")
    return experiment


def announced(trials: Mapping[str, Trial], key: str) -> Trial:
    """The announced trial with a key. Raises ValueError: there is none."""
    if key not in trials:
        raise ValueError(f"no trial with the key {key} was announced to this recorder: pass it to `add` first")
    return trials[key]


@dataclass(frozen=True)
class Recorded:
    """A finished trial as a store keeps it."""

    columns: dict[str, Any]
    status: str
    rows: list[ScoreRow]  # not a frame: to create and join 100 000 frames would take minutes
    provenance: dict[str, str] = field(default_factory=dict)


def score_rows(table: pd.DataFrame) -> list[ScoreRow]:
    """The rows of a tidy frame of scores as plain tuples."""
    return list(zip(*(table[name].tolist() for name in SCORE_COLUMNS), strict=True))


def tidy(records: Iterable[Recorded]) -> pd.DataFrame:
    """One frame of all scores, in an order that does not depend on the order of the records."""
    ordered = sorted(records, key=lambda record: [record.columns[name] for name in ORDER])
    if not ordered:
        return pd.DataFrame(columns=[*TRIAL_COLUMNS, "status", *SCORE_COLUMNS])
    later = later_parameters().items()
    trials = pd.DataFrame(
        {**record.columns, **{n: v for n, v in later if n not in record.columns}, "status": record.status}
        for record in ordered
    )
    trials.insert(len(trials.columns) - 1, "status", trials.pop("status"))  # last, even if later trials add columns
    trial_of_row = np.repeat(np.arange(len(ordered)), [len(record.rows) for record in ordered])
    table = scores([row for record in ordered for row in record.rows])
    return pd.concat([trials.iloc[trial_of_row].reset_index(drop=True), table], axis=1)
