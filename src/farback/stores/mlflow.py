"""The store that people browse: every trial a flat MLflow run. The only door to mlflow, which is imported late."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from farback.stores import database, exact, locations, owners, secrets, tags, views
from farback.stores.base import Recorded, Store, checked_name, tidy
from farback.stores.database import Past
from farback.stores.metrics import Point, closing, legal, points
from farback.stores.views import Study
from farback.trial import Event, Failed, Finished, Progress, Stopped, Trial, TrialResult

FLUSH_SECONDS = 2.0  # between writes of progress, so that the UI is live...
FLUSH_SHARE = 10  # ...and at least so many times what the last write took: the driver must not drown in writing
FLUSH_POINTS = 5000  # in memory before a write
PAGE = 1000  # runs in one answer
READERS = 8  # artifacts fetched at once
ERROR_CHARACTERS = 1000  # of an error in its tag; the traceback has a file


@dataclass
class _Run:
    """A run being written."""

    run_id: str
    artifacts: str
    waiting: list[tuple[Point, int]] = field(default_factory=list)  # with the time, in ms
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class _Said:
    """What was said of a trial since it was begun, and the run that it then got."""

    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None

    def points(self) -> list[tuple[Point, int]]:
        """The numbers, as of now."""
        return [(point, _now()) for point in points(self.metrics, 0)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Mlflow's and alembic's chatter and warnings, off while our calls run and as before afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401 - it sets its loggers up, so it has to come first

        loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class MLflow(Store):
    """Records in an MLflow tracking store: SQLite by default, any database or server by URI."""

    def __init__(self, uri: str | None = None) -> None:
        """Open a store; an SQLite file is made if it is not there.

        Args:
            uri: `sqlite:///FILE`, `http://HOST:PORT`, another database; by default MLFLOW_TRACKING_URI, else the
                SQLite file in `results/store` below the current directory.

        Raises:
            ValueError: a plain folder.
        """
        self.uri = secrets.signed_in(locations.located(uri))
        self.client = client(self.uri)
        self.experiment = ""
        self._ids: dict[str, str] = {}
        self._trials: dict[str, Trial] = {}
        self._open: dict[str, _Run] = {}
        self._said: dict[str, _Said] = {}
        self._past: dict[str, list[Past]] | None = None
        self._flush_at = 0.0

    def begin(
        self,
        experiment: str,
        trials: Sequence[Trial],
        *,
        question: str = "",
        config_text: str = "",
        study: Study | None = None,
    ) -> None:
        """See Store."""
        if experiment != self.experiment:
            self.close()
            self._trials, self._past, self._said = {}, None, {}
        with _quiet():
            experiment_id = self._id(checked_name(experiment)) or self._created(experiment)
            self.experiment = experiment
            self._trials |= {trial.key: trial for trial in trials}
            self._said = {key: said for key, said in self._said.items() if key not in {trial.key for trial in trials}}
            self._close_orphans(experiment_id)
            parameters = [tags.parameters(trial) for trial in self._trials.values()]
            views.write(self.client, experiment_id, parameters, study)
            views.describe(self.client, experiment_id, question, config_text)

    def finished(self, keys: Iterable[str]) -> set[str]:
        """See Store."""
        with _quiet():
            self._past = self._history()
        return {key for key in keys if any(run.status == "FINISHED" for run in self._past.get(key, []))}

    def put(self, event: Event) -> None:
        """See Store."""
        if event.key not in self._trials:
            raise ValueError(f"{event.key} is none of the trials that {self.experiment or 'the experiment'} began with")
        run = self._open.get(event.key) or self._start(self._trials[event.key])
        if isinstance(event, Finished):
            self._finish(run, event.result)
        elif isinstance(event, Failed):
            self._fail(run, event)
        elif isinstance(event, Stopped):
            self._stop(run, event)
        else:
            self._progress(run, event)

    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        """See Store."""
        if key not in self._trials:
            raise ValueError(f"{key} is none of the trials that {self.experiment or 'the experiment'} began with")
        said = self._said.setdefault(key, _Said())
        said.tags |= {legal(name): text for name, text in tags.items()}
        said.metrics |= metrics or {}
        with _quiet():
            self._past = self._history() if self._past is None else self._past
            whole = [run for run in self._past.get(key, []) if run.status == "FINISHED"]
            run_id = said.run_id or (max(whole, key=lambda run: run.ended).run_id if whole else None)
            if run_id is not None:
                self._batch(run_id, said.points(), {}, said.tags)

    def frame(self, experiment: str) -> pd.DataFrame:
        """See Store.

        Raises:
            FileNotFoundError: a finished run's scores cannot be read.
        """
        with _quiet():
            experiment_id = self._id(experiment)
            newest: dict[str, Past] = {}
            for run in self._ended(experiment_id) if experiment_id else ():
                if run.status == "FINISHED" and (run.key not in newest or newest[run.key][2:4] < run[2:4]):
                    newest[run.key] = run
            with ThreadPoolExecutor(READERS) as pool:
                return tidy(pool.map(self._recorded, newest.values()))

    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        """See Store."""
        with _quiet():
            experiment_id = self._id(experiment)
            if experiment_id is None:
                raise ValueError(f"nothing is recorded of {experiment!r} in {locations.shown(self.uri)}")
            run = self._summary(experiment_id, {legal(name) for name in metrics or {}})
            artifacts = self._artifacts(run.info.artifact_uri)
            for old in artifacts.list_artifacts():
                artifacts.delete_artifacts(old.path)
            for path in files:
                artifacts.log_artifact(str(path))
            old_values = run.data.metrics
            changed = [p for p in points(metrics or {}, 0) if old_values.get(p.name) != p.value]
            now = _now()
            self._batch(run.info.run_id, [(p, now) for p in changed], {}, {"mlflow.note.content": note})
            self.client.set_terminated(run.info.run_id, "FINISHED")
            views.describe(self.client, experiment_id, summary=run.info.run_id)

    def close(self) -> None:
        """See Store."""
        with _quiet():
            self._flush()
            for run in self._open.values():
                self.client.set_terminated(run.run_id, "KILLED")
        self._open = {}

    # Runs of trials

    @_quiet()
    def _start(self, trial: Trial) -> _Run:
        """A new run for a trial."""
        from mlflow.entities import Dataset, DatasetInput

        experiment_id = self._ids[self.experiment]
        said = self._said.setdefault(trial.key, _Said())
        named = tags.trial_tags(trial, owners.owner()) | said.tags
        created = self.client.create_run(experiment_id, start_time=_now(), tags=named, run_name=tags.name(trial))
        run = _Run(created.info.run_id, created.info.artifact_uri)
        said.run_id = run.run_id
        self._batch(run.run_id, said.points(), said.tags | tags.parameters(trial), {})
        self.client.log_inputs(run.run_id, [DatasetInput(Dataset(**tags.dataset(trial)))])
        self._open[trial.key] = run
        return run

    def _progress(self, run: _Run, event: Progress) -> None:
        now = _now()
        run.waiting += [(point, now) for point in points(event.metrics, event.step)]
        for name, value in event.metrics.items():
            run.curves.setdefault(name, []).append(value)
        waiting = sum(len(each.waiting) for each in self._open.values())
        if waiting >= FLUSH_POINTS or time.monotonic() >= self._flush_at:
            self._flush()

    @_quiet()
    def _flush(self) -> None:
        """Write the waiting progress of every open run."""
        began = time.monotonic()
        for run in self._open.values():
            if run.waiting:
                self._batch(run.run_id, run.waiting, {}, {})
                run.waiting = []
        ended = time.monotonic()
        self._flush_at = ended + max(FLUSH_SECONDS, FLUSH_SHARE * (ended - began))

    @_quiet()
    def _finish(self, run: _Run, result: TrialResult) -> None:
        """The exact scores first, the status last: a run that says FINISHED is whole."""
        with tempfile.TemporaryDirectory() as folder:
            exact.write(Path(folder), self._trials[result.key].columns(), result)
            self._artifacts(run.artifacts).log_artifacts(folder)
        now = _now()
        ending = [(point, now) for point in closing(result.scores, run.curves)]
        said = {"status": result.status, **tags.provenance(result.provenance)}
        self._batch(run.run_id, run.waiting + ending, {}, said)
        self._end(run, result.key, "FINISHED")

    @_quiet()
    def _fail(self, run: _Run, event: Failed) -> None:
        if event.traceback:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "traceback.txt"
                path.write_text(event.traceback, encoding="utf-8")
                self._artifacts(run.artifacts).log_artifact(str(path))
        said = {"status": "failed", "error": event.error[:ERROR_CHARACTERS] or "unknown"}
        self._batch(run.run_id, run.waiting, {}, said)
        self._end(run, event.key, "FAILED")

    @_quiet()
    def _stop(self, run: _Run, event: Stopped) -> None:
        self._batch(run.run_id, run.waiting, {}, {"status": "pruned", "updates": str(event.step)})
        self._end(run, event.key, "KILLED")

    def _end(self, run: _Run, key: str, status: str) -> None:
        """End a run, and take those that it replaces out of the views: they stay, with another `kind`."""
        self.client.set_terminated(run.run_id, status)
        del self._open[key]
        self._past = self._history() if self._past is None else self._past
        earlier = [past for past in self._past.get(key, []) if past.run_id != run.run_id]
        replaced = [past for past in earlier if status == "FINISHED" or past.status != "FINISHED"]
        for past in replaced:
            self.client.set_tag(past.run_id, "kind", "superseded")
        kept = [past for past in earlier if past not in replaced]
        self._past[key] = [*kept, Past(key, run.run_id, status, _now(), run.artifacts)]

    def _close_orphans(self, experiment_id: str) -> None:
        """End the runs that dead drivers on this host left running."""
        for run in self._search(experiment_id, "tags.kind = 'trial' and attributes.status = 'RUNNING'"):
            owner = run.data.tags.get("owner", "")
            if owners.is_dead(owner):
                self._batch(run.info.run_id, [], {}, {"status": "killed", "killed": f"its driver {owner} is gone"})
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _history(self) -> dict[str, list[Past]]:
        """The ended runs of this experiment, by key."""
        by_key: dict[str, list[Past]] = {}
        for run in self._ended(self._ids[self.experiment]):
            by_key.setdefault(run.key, []).append(run)
        return by_key

    def _ended(self, experiment_id: str) -> list[Past]:
        path = locations.database(self.uri)
        if path is not None:
            try:
                return database.ended(path, experiment_id)
            except sqlite3.Error:  # MLflow's tables changed: its own search is slower, and right
                pass
        found = self._search(experiment_id, "tags.kind = 'trial' and attributes.status != 'RUNNING'")
        return [
            Past(run.data.tags["farback.key"], info.run_id, info.status, info.end_time or 0, info.artifact_uri)
            for run in found
            if (info := run.info)
        ]

    def _recorded(self, run: Past) -> Recorded:
        """The exact result of a finished run."""
        from mlflow.exceptions import MlflowException

        names = (exact.RESULT, exact.SCORES)
        folder = locations.local(run.artifacts, self.uri)
        try:
            if folder is not None:
                return exact.read(*((folder / name).read_text(encoding="utf-8") for name in names))
            artifacts = self._artifacts(run.artifacts)
            with tempfile.TemporaryDirectory() as copies:
                paths = [Path(artifacts.download_artifacts(name, copies)) for name in names]
                return exact.read(*(path.read_text(encoding="utf-8") for path in paths))
        except (OSError, MlflowException) as error:
            place = f"run {run.run_id} in {locations.shown(self.uri)}"
            raise FileNotFoundError(
                f"the scores of {place} cannot be read ({error}): if they are lost, delete the run to train it again"
            ) from error

    # The experiment

    def _id(self, experiment: str) -> str | None:
        """The id of an experiment, if there is one."""
        if experiment not in self._ids:
            found = self.client.get_experiment_by_name(experiment)
            if found is None:
                return None
            if found.lifecycle_stage != "active":
                raise ValueError(
                    f"experiment {experiment!r} was deleted in MLflow: restore it there, or erase it with `mlflow gc`"
                )
            self._ids[experiment] = found.experiment_id
        return self._ids[experiment]

    def _created(self, experiment: str) -> str:
        self._ids[experiment] = self.client.create_experiment(experiment, locations.artifacts(self.uri, experiment))
        return self._ids[experiment]

    def _summary(self, experiment_id: str, names: set[str]) -> Any:
        """The summary run, new where there is none or where it has metrics that are no longer among `names`."""
        for run in self._search(experiment_id, "tags.kind = 'summary'"):
            if set(run.data.metrics) <= names:
                return run
            self.client.delete_run(run.info.run_id)  # MLflow cannot take a single metric away
        named = {"kind": "summary", "cell": "summary", "owner": owners.owner(), **tags.versions(), **tags.commit()}
        return self.client.create_run(experiment_id, tags=named, run_name="summary")

    # MLflow's calls

    def _search(self, experiment_id: str, text: str) -> Iterator[Any]:
        token = None
        while True:
            found = self.client.search_runs([experiment_id], text, max_results=PAGE, page_token=token)
            yield from found
            token = found.token
            if not token:
                return

    def _batch(
        self, run_id: str, values: Sequence[tuple[Point, int]], parameters: dict[str, str], named: dict[str, str]
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        self.client.log_batch(
            run_id,
            metrics=[Metric(point.name, point.value, milliseconds, point.step) for point, milliseconds in values],
            params=[Param(name, value) for name, value in parameters.items()],
            tags=[RunTag(name, value) for name, value in named.items()],
        )

    def _artifacts(self, uri: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(uri, tracking_uri=self.uri)


def client(uri: str) -> Any:
    """An MLflow client; the database behind it is made if it is an SQLite file that is not there."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read by mlflow when it is imported
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it would print through our progress bars
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with _quiet():
        from mlflow import MlflowClient

        path = locations.database(uri)
        if path is not None:
            database.create(path, _migrate)
        return MlflowClient(tracking_uri=uri)


def _migrate(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    untyped: Any = SqlAlchemyStore
    untyped(locations.SQLITE + str(path), (path.parent / "artifacts").as_uri()).engine.dispose()


def _now() -> int:
    return time.time_ns() // 1_000_000
