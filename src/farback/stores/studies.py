"""The database of Optuna's studies, separate from MLflow's."""

from __future__ import annotations

import contextlib
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from farback.records.record import UserError
from farback.stores import database, locations
from farback.stores.retries import reason

BUSY_SECONDS = 60.0  # how long a writer of an SQLite file waits for another


@dataclass(frozen=True)
class Storage:
    """An opened database of Optuna's studies, which Optuna calls a storage."""

    uri: str
    optuna: Any  # Optuna's storage
    path: Path | None  # the SQLite file; None on a database server

    @property
    def lock(self) -> AbstractContextManager[object]:
        """A lock that one process at a time holds; a killed process releases it.

        Optuna takes a waiting trial by reading its state and then writing it. A database server locks the row in
        between; SQLite does not, so that two processes could take one trial (docs/decisions/0007).
        """
        if self.path:
            return FileLock(f"{self.path}.lock")
        if self.uri.startswith(database.POSTGRES):
            return database.advisory(self.optuna.engine, "farback.search", database.ADVISORY_SECONDS)
        return nullcontext()

    @property
    def is_local(self) -> bool:
        """Whether `lock` always excludes others, so that a trial without an owner was left by a dead process.

        On a database server the lock only saves work: the search discards trials that two processes made at once.
        """
        return self.path is not None


def located(uri: str | None, root: Path) -> str:
    """The URI to use: the given one, else an SQLite file below `root`. SQLite paths become absolute.

    Raises:
        UserError: the URI does not name a database.
    """
    chosen = uri or locations.sqlite(root.resolve() / "results" / "store" / "optuna.db")
    path = locations.database(chosen)
    if path is not None:
        return locations.sqlite(path)
    if "://" not in chosen or chosen.startswith(("http", "file:")):
        raise UserError(f"a study's storage is sqlite:///FILE or another database, got {locations.shown(chosen)!r}")
    locations.check_driver(chosen)
    return chosen


def opened(uri: str) -> Storage:
    """Open a storage; an SQLite file is created if it does not exist.

    Raises:
        UserError: the database is MLflow's, or cannot be opened.
    """
    path = locations.database(uri)
    with quiet():
        from optuna.storages import RDBStorage

        try:
            if path is not None:
                database.create(path, lambda new: RDBStorage(locations.sqlite(new)).engine.dispose())
                _check_owner(path)
                options = {"connect_args": {"timeout": BUSY_SECONDS}}
                return Storage(uri, RDBStorage(uri, engine_kwargs=options, skip_table_creation=True), path)
            is_postgres = uri.startswith(database.POSTGRES)
            # A lock, because processes that create the tables at the same moment fail
            lock = database.PREPARING, database.PREPARING_SECONDS
            with database.advisory(database.engine(uri), *lock) if is_postgres else nullcontext():
                return Storage(uri, RDBStorage(uri), None)
        except UserError:
            raise
        except Exception as error:  # from a database driver
            raise UserError(f"the storage {locations.shown(uri)} cannot be opened: {reason(error)}") from None


def exists(uri: str) -> bool:
    """Whether the SQLite file exists; a database server is assumed to have studies."""
    path = locations.database(uri)
    return path is None or path.exists()


def _check_owner(path: Path) -> None:
    """Refuse MLflow's database: both programs keep a table `alembic_version`, and would break each other's."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    if "experiments" in tables or "studies" not in tables:
        raise UserError(f"{path} is not Optuna's database; studies need a file of their own, such as optuna.db")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's messages and its warnings about experimental features inside the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(level)


def fail_abandoned(storage: Any, trial_id: int, reason: str) -> bool:
    """Mark an Optuna trial of a dead process as failed; it may be tried again. False if the trial has ended."""
    from optuna.trial import TrialState

    try:
        storage.set_trial_user_attr(trial_id, "reason", reason)
        storage.set_trial_user_attr(trial_id, "blameless", True)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except RuntimeError:  # UpdateFinishedTrialError, which Optuna 4.0 does not have
        return False
    return True


def trial_keys(storage: Storage, experiment: str) -> set[str]:
    """The keys of all trials that the searches of an experiment have trained or are training."""
    keys: set[str] = set()
    with quiet():
        for study in storage.optuna.get_all_studies():
            if study.user_attrs.get("experiment") == experiment:
                for trial in storage.optuna.get_all_trials(study._study_id, deepcopy=False):
                    keys.update(str(trial.user_attrs.get("keys", "")).split())
    return keys
