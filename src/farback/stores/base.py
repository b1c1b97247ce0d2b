"""The contract of a store: the driver of a run records events, anyone asks for the tidy frame."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from farback.stores.views import SearchViews
from farback.trials.events import SCORE_COLUMNS, Recordable, ScoreRow, scores
from farback.trials.trial import Trial

TRIAL_COLUMNS = ["key", "label", "cell", "init", "task", "trained_lag", "seed"]  # that every trial has
ORDER = ["task", "label", "trained_lag", "seed", "key"]  # of the trials in a frame, however they were recorded


class Recorder(ABC):
    """One experiment open for recording, by one driver. A context manager."""

    @abstractmethod
    def add(self, trials: Iterable[Trial], views: SearchViews | None = None) -> None:
        """Announce more trials: events name their trials by key only.

        Args:
            trials: added to those announced before.
            views: what is searched, if the experiment is a search, for the views of people who browse it.
        """

    @abstractmethod
    def lease(self, keys: Iterable[str]) -> set[str]:
        """Take trials to train them; of these keys, those that are not finished and that no other driver trains.

        Leases are advisory: they save work, and no result depends on them (`farback.stores.leases`).
        """

    @abstractmethod
    def release(self, keys: Iterable[str]) -> None:
        """Give trials back, ended or not; `close` gives back the rest."""

    @abstractmethod
    def put(self, event: Recordable) -> None:
        """Record an event. Progress may be buffered; an ended trial is stored when this returns.

        Raises:
            ValueError: the key of a trial that was not announced.
        """

    @abstractmethod
    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        """Attach texts and numbers to a trial: which study it belongs to, what became of it there.

        They go to the trial's finished or current run, else to the run that it will get, where they are parameters
        too, since charts group by parameters only. A later value of a name replaces an earlier one.

        Raises:
            ValueError: the key of a trial that was not announced.
        """

    @abstractmethod
    def close(self) -> None:
        """Write what is buffered; trials that have not ended are marked as killed."""

    def abandon(self) -> None:
        """Close after an error, without waiting: the store may be what does not work."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
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
        """Open an experiment for recording. Trials that dead drivers left unfinished are marked as killed.

        Args:
            experiment: a short name without slashes.
            trials: announced as by `Recorder.add`.
            question: what the experiment asks, for people.
            config_text: the YAML it was read from, for people.
            views: as of `Recorder.add`.

        Raises:
            ValueError: the name is empty, too long or has slashes or the like.
        """

    @abstractmethod
    def finished(self, experiment: str, keys: Iterable[str]) -> set[str]:
        """Which of these trials need no training: converged or diverged, not failed, killed or pruned."""

    @abstractmethod
    def frame(self, experiment: str) -> pd.DataFrame:
        """Every score of every finished trial of an experiment, exactly as it was recorded.

        Returns:
            A row per (trial, measure, step, lag, statistic): the columns of `Trial.columns()`, then status, measure,
            step, lag (-1 where there is none), statistic, value. Trials are sorted by task, label, trained lag, seed
            and key; a trial's own rows keep their order. Empty where nothing is recorded.
        """

    @abstractmethod
    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        """What made each finished trial of an experiment, by key: its result's provenance without the process id."""

    @abstractmethod
    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        """Write the one summary of an experiment, replacing an earlier one.

        Args:
            experiment: one that was begun, now or in the past.
            note: the headline table, in markdown.
            metrics: the aggregates by name.
            files: figures, tables and the report; their names must differ.

        Raises:
            ValueError: nothing is recorded of the experiment.
        """

    def close(self) -> None:  # noqa: B027 - most stores hold nothing open
        """Let go of connections. Recorders are closed by whoever opened them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def checked_name(experiment: str) -> str:
    """The name of an experiment, if it can name a folder and MLflow's pages show it whole.

    Raises:
        ValueError: it cannot.
    """
    if not re.fullmatch(r"\w[\w .+-]{0,79}", experiment) or experiment != experiment.strip():
        raise ValueError(f"an experiment's name is up to 80 letters, digits, spaces or _ . + -, got {experiment!r}")
    return experiment


@dataclass(frozen=True)
class Recorded:
    """A finished trial as a store keeps it."""

    columns: dict[str, Any]
    status: str
    rows: list[ScoreRow]  # plain tuples: a frame for each of 100 000 trials would take minutes to make and to join


def tidy(records: Iterable[Recorded]) -> pd.DataFrame:
    """One frame of all scores, in an order that does not depend on the order of the records."""
    ordered = sorted(records, key=lambda record: [record.columns[name] for name in ORDER])
    if not ordered:
        return pd.DataFrame(columns=[*TRIAL_COLUMNS, "status", *SCORE_COLUMNS])
    trials = pd.DataFrame([{**record.columns, "status": record.status} for record in ordered])
    # A cell's own fields appear in the order of the trials: the common columns stay in front, status comes last
    trials = trials[[*(name for name in trials.columns if name != "status"), "status"]]
    trial_of_row = np.repeat(np.arange(len(ordered)), [len(record.rows) for record in ordered])
    table = scores([row for record in ordered for row in record.rows])
    return pd.concat([trials.iloc[trial_of_row].reset_index(drop=True), table], axis=1)
