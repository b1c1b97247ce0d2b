"""MLflow's client with retries. Beside this module only `artifacts` and `mlflow_pages` import mlflow."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import cached_property
from pathlib import Path
from typing import Any

from farback.stores import database, locations
from farback.stores.artifacts import Artifacts
from farback.stores.retries import Retries, Retrying
from farback.stores.run_metrics import Point

RUNS_PER_PAGE = 1000
SETTINGS = {  # environment variables that mlflow reads, some of them when it is imported
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # otherwise mlflow prints into our progress bars
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # mlflow would retry for minutes without a message; farback itself retries
}


class _Silencer:
    """Turns loggers off while any thread is inside, and restores their levels afterwards."""

    def __init__(self, *names: str) -> None:
        self.loggers = [logging.getLogger(name) for name in names]
        self._lock, self._inside, self._levels = threading.Lock(), 0, [0 for _ in names]

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._turn_off()
            self._inside += 1

    def renew(self) -> None:
        """Inside: keep the present levels to restore them, and turn the loggers off again."""
        with self._lock:
            self._turn_off()

    def _turn_off(self) -> None:
        self._levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.CRITICAL + 1)  # farback reports errors itself

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for logger, level in zip(self.loggers, self._levels, strict=True):
                    logger.setLevel(level)


silenced = _Silencer("mlflow", "alembic", "urllib3")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the log messages and warnings of mlflow and alembic inside the block."""
    with warnings.catch_warnings(), silenced:
        warnings.simplefilter("ignore")
        yield


class Client:
    """A tracking store whose calls are retried; MLflow, which takes seconds to import, opens it when it is used."""

    def __init__(self, uri: str, retries: Retries, project: Path | None = None) -> None:
        self.uri, self.retries = uri, retries
        self.artifacts = Artifacts(uri, retries, project)

    @cached_property
    def bare(self) -> Any:
        """MLflow's client, without retries. Raises StoreFault: the database is not MLflow's, or of another version."""
        return self.retries.call(lambda: connect(self.uri))

    @cached_property
    def mlflow(self) -> Any:
        """MLflow's client. A retry may repeat a call that succeeded, so runs are created with `create_run`."""
        return Retrying(self.bare, self.retries)

    def search(self, experiment_id: str, text: str) -> Iterator[Any]:
        """The runs of an experiment that match an MLflow filter."""
        search = self.mlflow.search_runs
        return _every_page(lambda token: search([experiment_id], text, max_results=RUNS_PER_PAGE, page_token=token))

    def experiments(self) -> Iterator[Any]:
        """The experiments that were not deleted."""
        return _every_page(lambda token: self.mlflow.search_experiments(page_token=token))

    def create_experiment(self, name: str, artifacts: str | None) -> str:
        """The id of a new experiment, or of the one that another driver created at the same moment."""
        from mlflow.exceptions import MlflowException

        def create() -> str:
            try:
                return str(self.bare.create_experiment(name, artifacts))
            except MlflowException:  # any error code: the code depends on MLflow's version
                existing = self.bare.get_experiment_by_name(name)
                if existing is None:
                    raise
                return str(existing.experiment_id)

        return self.retries.call(create)

    def create_run(
        self, experiment_id: str, tags: Mapping[str, str], name: str, find: Callable[[], str | None] = lambda: None
    ) -> Any:
        """Create a run, and return it as MLflow's entity.

        After a failed call, `find` returns the id of the run if it was created nevertheless.
        """
        start = now()

        def existing() -> Any:
            run_id = find()
            return None if run_id is None else self.bare.get_run(run_id)

        return self.retries.call(
            lambda: self.bare.create_run(experiment_id, start_time=start, tags=dict(tags), run_name=name), existing
        )

    def log(
        self,
        run_id: str,
        values: Sequence[tuple[Point, int]] = (),
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics (each with its time in ms), parameters and tags of a run."""
        from mlflow.entities import Metric, Param, RunTag

        self.mlflow.log_batch(
            run_id,
            metrics=[Metric(point.name, point.value, milliseconds, point.step) for point, milliseconds in values],
            params=[Param(name, value) for name, value in (parameters or {}).items()],
            tags=[RunTag(name, value) for name, value in (tags or {}).items()],
        )

    def log_dataset(self, run_id: str, fields: Mapping[str, str]) -> None:
        """Write the dataset of a run."""
        from mlflow.entities import Dataset, DatasetInput

        self.mlflow.log_inputs(run_id, [DatasetInput(Dataset(**fields))])


def _every_page(page_at: Callable[[str | None], Any]) -> Iterator[Any]:
    """The entries of all pages, where `page_at` returns the page at a token."""
    token = None
    while True:
        page = page_at(token)
        yield from page
        token = page.token
        if not token:
            return


class TagBoard:
    """The `Board` of `farback.stores.leases`, kept in an experiment's tags, which every backend of MLflow has."""

    def __init__(self, client: Client, experiment_id: str) -> None:
        self._client, self._id = client.bare, experiment_id

    def read(self) -> Mapping[str, str]:
        """All tags."""
        with silenced:
            return dict(self._client.get_experiment(self._id).tags)

    def write(self, name: str, text: str) -> None:
        """Set a tag."""
        with silenced:
            self._client.set_experiment_tag(self._id, name, text)

    def erase(self, name: str) -> None:
        """Delete a tag, if it exists."""
        from mlflow.exceptions import MlflowException

        with silenced:
            try:
                self._client.delete_experiment_tag(self._id, name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise


def connect(uri: str) -> Any:
    """An MLflow client; an SQLite file is created if it does not exist.

    Raises:
        StoreFault: the database is not MLflow's, or of another version.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with quiet():
        is_imported = "mlflow" in sys.modules
        from mlflow import MlflowClient

        if not is_imported:  # mlflow has just configured its loggers
            silenced.renew()
        with _root_logger_unchanged():
            database.prepare(uri, _migrate, _versions)
            return MlflowClient(tracking_uri=uri)


@contextmanager
def _root_logger_unchanged() -> Iterator[None]:
    """Undo the logging of MLflow 3.2, which replaces the root logger's handlers and prints every migration."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with redirect_stderr(io.StringIO()):
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


def _migrate(uri: str) -> None:
    """Create MLflow's tables in an empty database."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    untyped: Any = SqlAlchemyStore
    untyped(uri, locations.artifacts(uri, "default")).engine.dispose()


def _versions() -> tuple[str, frozenset[str]]:
    """The version of the tables of the installed MLflow, and all versions that it knows."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    untyped: Any = utils
    scripts = ScriptDirectory.from_config(untyped._get_alembic_config(""))
    return str(scripts.get_current_head()), frozenset(script.revision for script in scripts.walk_revisions())


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
