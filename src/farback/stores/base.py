"""What a store of trials can do: one writer puts events, anyone asks for the tidy frame."""

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
from farback.trials.events import SCORE_COLUMNS, Entry, Row, scores
from farback.trials.trial import Trial

TRIAL_COLUMNS = ["key", "label", "cell", "init", "task", "trained_lag", "seed"]  # what every trial has
ORDER = ["task", "label", "trained_lag", "seed", "key"]  # of the trials in a frame, whatever order they ended in


class Store(ABC):
    """Records what comes of trials. Only the driver writes; a context manager.

    Everything but `close`, `frame`, `provenance` and `summarise` speaks of the experiment that `begin` named last.
    """

    @abstractmethod
    def begin(
        self,
        experiment: str,
        trials: Sequence[Trial],
        *,
        question: str = "",
        config_text: str = "",
        study: SearchViews | None = None,
    ) -> None:
        """Name the experiment that coming events belong to, and the trials that they may speak of.

        May be called again, with the same experiment or another one. Trials that drivers now dead left unfinished are
        closed; those of drivers still alive, or on other hosts, are left alone.

        Args:
            experiment: a short name without slashes.
            trials: events carry only keys: these say what the keys stand for.
            question: what the experiment asks, for people.
            config_text: the YAML it was read from, for people.
            study: what is searched, where the experiment is a search, for people's views of it.

        Raises:
            ValueError: the name is empty, too long or has slashes or the like.
        """

    @abstractmethod
    def finished(self, keys: Iterable[str]) -> set[str]:
        """Which of these keys need no training: converged or diverged, not failed, killed or stopped."""

    @abstractmethod
    def claim(self, keys: Iterable[str]) -> set[str]:
        """Of these trials, those that are now this driver's to train.

        They are not finished, and no other living driver has claimed them: two drivers never hold a trial at once. What
        a driver holds already is granted again. A driver that dies holds nothing; on another machine it is taken for
        dead when it was silent for a while. Trials that end stay claimed until they are released.
        """

    @abstractmethod
    def release(self, keys: Iterable[str]) -> None:
        """Give trials back, ended or not; `close` does it for all that are left."""

    @abstractmethod
    def put(self, event: Entry) -> None:
        """Record an event. Progress may be buffered until later events or `close`; an ended trial is safe on return.

        Raises:
            ValueError: the key is none of the trials given to `begin`.
            Overtaken: the trial had been claimed and then taken over by another driver, which took this one for dead.
                Nothing is recorded of how it ended here.
        """

    @abstractmethod
    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        """Say more of a trial: which study it belongs to, what became of it there.

        It goes to the run that the trial has finished, or got since it was given to `begin`, else to the one that it
        will get. Tags that are there when a run begins are parameters of it too, where the store tells the two apart,
        for charts group by those. A later value of a name replaces an earlier one.

        Args:
            key: of one of the trials given to `begin`.
            tags: texts by name.
            metrics: numbers by name.

        Raises:
            ValueError: the key is none of the trials given to `begin`.
        """

    @abstractmethod
    def frame(self, experiment: str) -> pd.DataFrame:
        """Every score of every finished trial of an experiment, exactly as it was put.

        Returns:
            A row per (trial, measure, step, lag, statistic): the columns of `Trial.columns()`, then status, measure,
            step, lag (-1 where there is none), statistic, value. Trials are in the order of task, label, trained lag,
            seed and key; a trial's own rows in the order they were put. Empty where nothing is recorded.
        """

    @abstractmethod
    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        """How each finished trial of an experiment came to be, by key: what its result said, but for the process id.

        Of trials that were recorded by an earlier release some of it may be missing. Empty where nothing is recorded.
        """

    @abstractmethod
    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        """Write the one summary of an experiment, in place of an earlier one.

        Args:
            experiment: its name; it must have been begun, now or in the past.
            note: the headline table, in markdown.
            metrics: the aggregates by name.
            files: figures, tables and the report; their names must differ.
        """

    @abstractmethod
    def close(self) -> None:
        """Write what is buffered; trials still open end as killed."""

    def abandon(self) -> None:
        """Close after an error: at once and without a word, for the store may be what does not work."""
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


class Overtaken(RuntimeError):
    """A trial that was claimed is another driver's now."""


def checked_name(experiment: str) -> str:
    """The name of an experiment, if it is one that can name a folder and that MLflow's pages show whole.

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(r"\w[\w .+-]{0,79}", experiment) or experiment != experiment.strip():
        raise ValueError(f"an experiment's name is up to 80 letters, digits, spaces or _ . + -, got {experiment!r}")
    return experiment


@dataclass(frozen=True)
class Recorded:
    """A finished trial as a store keeps it."""

    columns: dict[str, Any]
    status: str
    rows: list[Row]  # plain tuples: a frame for each of 100 000 trials would take minutes to make and to join


def tidy(records: Iterable[Recorded]) -> pd.DataFrame:
    """One frame of all scores, in an order that does not depend on the order of the records."""
    ordered = sorted(records, key=lambda record: [record.columns[name] for name in ORDER])
    if not ordered:
        return pd.DataFrame(columns=[*TRIAL_COLUMNS, "status", *SCORE_COLUMNS])
    trials = pd.DataFrame([{**record.columns, "status": record.status} for record in ordered])
    # A cell's own fields come as the trials come: the common ones stay in front, status ends up behind all of them.
    trials = trials[[*(name for name in trials.columns if name != "status"), "status"]]
    whose = np.repeat(np.arange(len(ordered)), [len(record.rows) for record in ordered])
    table = scores([row for record in ordered for row in record.rows])
    return pd.concat([trials.iloc[whose].reset_index(drop=True), table], axis=1)
