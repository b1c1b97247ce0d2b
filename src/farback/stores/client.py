"""The only door to mlflow, which is imported late: its client, called with patience, and what is written through it."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from farback.stores import database, locations
from farback.stores.retries import Patience
from farback.stores.run_metrics import Point
from farback.system.atomic_files import aside, scratch, sweep

PAGE = 1000  # runs in one answer
SETTINGS = {  # read by mlflow, some of them when it is imported
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would print through our progress bars
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # it would try for minutes without a word: the patience is ours
}


class _Hush:
    """Loggers that are off while anyone wants them so, in whichever thread; and their levels from before."""

    def __init__(self, *names: str) -> None:
        self.loggers = [logging.getLogger(name) for name in names]
        self._lock, self._wanted, self._levels = threading.Lock(), 0, [0 for _ in names]

    def __enter__(self) -> None:
        with self._lock:
            if not self._wanted:
                self._levels = [logger.level for logger in self.loggers]
                for logger in self.loggers:
                    logger.setLevel(logging.CRITICAL + 1)  # what is the matter, we say ourselves
            self._wanted += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._wanted -= 1
            if not self._wanted:
                for logger, level in zip(self.loggers, self._levels, strict=True):
                    logger.setLevel(level)


hushed = _Hush("mlflow", "alembic", "urllib3")


@contextmanager
def quiet() -> Iterator[None]:
    """Mlflow's and alembic's chatter and warnings, off while our calls run and as before afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401 - it sets its loggers up, so it has to come first

        with hushed:
            yield


def found_runs(client: Any, experiment_id: str, text: str = "") -> Iterator[Any]:
    """The runs of an experiment that a filter of MLflow's lets through, page by page."""
    token = None
    while True:
        found = client.search_runs([experiment_id], text, max_results=PAGE, page_token=token)
        yield from found
        token = found.token
        if not token:
            return


class Tracking:
    """A tracking store, opened. What passes of the faults of its server or database is waited for.

    Attributes:
        uri: of the store.
        client: MLflow's client.
        patience: that it is called with.
    """

    def __init__(self, uri: str, patience: Patience) -> None:
        self.uri, self.patience = uri, patience
        self._bare = patience.keep(lambda: client(uri))
        self.client: Any = _Patient(self._bare, patience)

    def search(self, experiment_id: str, text: str) -> Iterator[Any]:
        """The runs of an experiment that a filter of MLflow's lets through."""
        return found_runs(self.client, experiment_id, text)

    def create_experiment(self, name: str, artifacts: str | None) -> str:
        """The id of a new experiment, or of the one that another driver made at the same moment."""
        from mlflow.exceptions import MlflowException

        def made() -> str:
            try:
                return str(self._bare.create_experiment(name, artifacts))
            except MlflowException as error:  # before the patience sees it: it says of itself that two wrote the same
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return str(self._bare.get_experiment_by_name(name).experiment_id)

        return self.patience.keep(made)

    def create_run(
        self, experiment_id: str, named: Mapping[str, str], name: str, found: Callable[[], Any] = lambda: None
    ) -> Any:
        """A new run.

        Args:
            experiment_id: MLflow's.
            named: its tags.
            name: in lists.
            found: looks for the run, should the answer have been lost.
        """
        start = now()
        return self.patience.keep(
            lambda: self._bare.create_run(experiment_id, start_time=start, tags=dict(named), run_name=name), found
        )

    def batch(
        self,
        run_id: str,
        values: Sequence[tuple[Point, int]] = (),
        parameters: Mapping[str, str] | None = None,
        named: Mapping[str, str] | None = None,
    ) -> None:
        """Write numbers (with their time in ms), parameters and tags of a run."""
        from mlflow.entities import Metric, Param, RunTag

        self.client.log_batch(
            run_id,
            metrics=[Metric(point.name, point.value, milliseconds, point.step) for point, milliseconds in values],
            params=[Param(name, value) for name, value in (parameters or {}).items()],
            tags=[RunTag(name, value) for name, value in (named or {}).items()],
        )

    def log_dataset(self, run_id: str, said: Mapping[str, str]) -> None:
        """Note the dataset of a run."""
        from mlflow.entities import Dataset, DatasetInput

        self.client.log_inputs(run_id, [DatasetInput(Dataset(**said))])

    def store_files(self, uri: str, files: Mapping[str, bytes]) -> None:
        """Add artifacts to a run; on this machine each is whole and on the disk on return, or not there.

        Args:
            uri: of the run's artifacts.
            files: what they hold, by name.
        """
        self.patience.keep(lambda: self._store_files(uri, files))

    def _store_files(self, uri: str, files: Mapping[str, bytes]) -> None:
        local = locations.local(uri, self.uri)
        if local is None:
            with scratch() as folder:
                for name, content in files.items():
                    (folder / name).write_bytes(content)
                self._repository(uri).log_artifacts(str(folder))
            return
        local.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with aside(local / name, durable=True) as unfinished:
                unfinished.write_bytes(content)

    def sweep_files(self, uri: str) -> None:
        """Remove what a writer was at that was killed, among the artifacts of a run on this machine."""
        local = locations.local(uri, self.uri)
        if local is not None:
            sweep(local)

    def replace_files(self, uri: str, files: Sequence[Path]) -> None:
        """Put files in the place of a run's artifacts."""
        artifacts = self._repository(uri)

        def replace() -> None:
            for old in artifacts.list_artifacts():
                artifacts.delete_artifacts(old.path)
            for path in files:
                artifacts.log_artifact(str(path))

        self.patience.keep(replace)

    def read_files(self, uri: str, names: Sequence[str]) -> list[bytes]:
        """What some of a run's artifacts hold.

        Raises:
            OSError: one cannot be read.
        """
        from mlflow.exceptions import MlflowException

        folder = locations.local(uri, self.uri)
        if folder is not None:
            return [(folder / name).read_bytes() for name in names]
        artifacts = self._repository(uri)
        with scratch() as copies:
            try:
                paths = [self.patience.keep(partial(artifacts.download_artifacts, name, str(copies))) for name in names]
            except MlflowException as error:
                raise OSError(locations.shown(str(error))) from None
            return [Path(path).read_bytes() for path in paths]

    def _repository(self, uri: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(uri, tracking_uri=self.uri)


class _Patient:
    """A client all of whose calls are made with patience. They may be made twice: only `create_run` minds."""

    def __init__(self, bare: Any, patience: Patience) -> None:
        self._bare, self._patience = bare, patience

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._bare, name)
        if not callable(found):
            return found
        return lambda *given, **named: self._patience.keep(lambda: found(*given, **named))


class ExperimentBoard:
    """The tags of an experiment as the board that drivers agree on: every backend of MLflow's has them."""

    def __init__(self, tracking: Tracking, experiment_id: str) -> None:
        self._client, self._id = tracking._bare, experiment_id

    def read(self) -> Mapping[str, str]:
        """See claims.Board."""
        with hushed:
            return dict(self._client.get_experiment(self._id).tags)

    def write(self, name: str, text: str) -> None:
        """See claims.Board."""
        with hushed:
            self._client.set_experiment_tag(self._id, name, text)

    def erase(self, name: str) -> None:
        """See claims.Board."""
        from mlflow.exceptions import MlflowException

        with hushed:
            try:
                self._client.delete_experiment_tag(self._id, name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise


def client(uri: str) -> Any:
    """An MLflow client; the database behind it is made if it is an SQLite file that is not there.

    Raises:
        StoreFault: the database is not MLflow's, or of another version.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with quiet():
        from mlflow import MlflowClient

        database.check(uri, _head)
        database.prepare(uri, _migrate)
        return MlflowClient(tracking_uri=uri)


def _migrate(uri: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    untyped: Any = SqlAlchemyStore
    untyped(uri, locations.artifacts(uri, "default")).engine.dispose()


def _head() -> tuple[str, frozenset[str]]:
    """The version of MLflow's tables that is installed, and all that it knows."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    untyped: Any = utils
    scripts = ScriptDirectory.from_config(untyped._get_alembic_config(""))
    return str(scripts.get_current_head()), frozenset(script.revision for script in scripts.walk_revisions())


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
