"""The database of Optuna's studies, separate from MLflow's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from farback.records.user_error import UserError
from farback.stores import database, locations
from farback.stores.retries import SECONDS, Retries, Retrying, reason, timed

BUSY_SECONDS = 5.0  # how long one call waits for another writer of an SQLite file; `Retries` repeats the call


@dataclass(frozen=True)
class Storage:
    """An opened database of Optuna's studies, which Optuna calls a storage."""

    uri: str
    optuna: Any  # Optuna's storage, whose calls are retried
    path: Path | None  # the SQLite file; None on a database server
    rdb: Any  # the same without retries
    retries: Retries

    @property
    def lock(self) -> AbstractContextManager[object]:
        """A lock that one process at a time holds; a killed process releases it.

        Optuna takes a waiting trial by reading its state and then writing it. A database server locks the row in
        between; SQLite does not, so that two processes could take one trial (docs/decisions/0007).
        """
        if self.path:
            return _held(FileLock(f"{self.path}.lock"))
        if self.uri.startswith(database.POSTGRES):
            return database.advisory(self.rdb.engine, "farback.search", database.ADVISORY_SECONDS)
        return nullcontext()

    @property
    def is_local(self) -> bool:
        """Whether `lock` always excludes others, so that a trial without an owner was left by a dead process.

        On a database server the lock only saves work: the search discards trials that two processes made at once.
        """
        return self.path is not None


@contextmanager
def _held(lock: FileLock) -> Iterator[None]:
    """A lock for a block; waiting for it counts as a call to the store."""
    with timed():
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


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


def opened(uri: str, retry_seconds: float = SECONDS) -> Storage:
    """Open a storage; an SQLite file is created if it does not exist.

    Calls of Optuna are retried as those of the store are: for `retry_seconds` while the database is locked or does
    not answer. Where that does not help, they raise StoreFault.

    Raises:
        StoreFault: the database is another program's, or cannot be used.
        UserError: another version of Optuna wrote it.
    """
    with quiet():
        from optuna.exceptions import DuplicatedStudyError
        from optuna.storages import RDBStorage, get_storage

        path, retries = locations.database(uri), Retries(uri, retry_seconds, (DuplicatedStudyError,))

        def attempt() -> Any:
            if path is not None:
                database.prepare_file(path, _check, lambda new: RDBStorage(locations.sqlite(new)).engine.dispose())
                options = {"connect_args": {"timeout": BUSY_SECONDS}}
                return RDBStorage(uri, engine_kwargs=options, skip_table_creation=True)
            database.prepare_server(uri, _check, lambda new: RDBStorage(new).engine.dispose())
            return RDBStorage(uri, skip_table_creation=True)

        try:
            bare = retries.call(attempt)
        except UserError:
            raise
        except Exception as error:  # such as Optuna's for tables of another version
            raise UserError(f"the storage {locations.named(uri)} cannot be opened: {reason(error)}") from None
    return Storage(uri, Retrying(get_storage(bare), retries), path, bare, retries)


def _check(place: str, tables: set[str], recorded: object) -> None:
    database.check_owner("Optuna", place, tables)


def exists(uri: str) -> bool:
    """Whether the SQLite file exists; a database server is assumed to have studies."""
    path = locations.database(uri)
    return path is None or path.exists()


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


def describe(study: Any, text: str) -> None:
    """Write the note that optuna-dashboard shows for a study, unless it has one or the dashboard is not installed."""
    if find_spec("optuna_dashboard") is None:
        return
    with quiet():
        from optuna_dashboard import get_note, save_note

        if not get_note(study):
            save_note(study, text)
