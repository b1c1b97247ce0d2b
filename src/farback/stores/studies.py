"""Where Optuna keeps its studies: a database of its own, never MLflow's."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from farback.records.record import UserError
from farback.stores import database, locations

FIRST_TOUCHES = 5
BUSY_SECONDS = 60.0  # a writer of an SQLite file waits so long for another


@dataclass(frozen=True)
class Storage:
    """An opened storage.

    Attributes:
        uri: as SQLAlchemy takes it.
        optuna: Optuna's storage.
        path: the SQLite file; None where a database server keeps it.
    """

    uri: str
    optuna: Any
    path: Path | None

    @property
    def alone(self) -> AbstractContextManager[object]:
        """A block that one process at a time is in. A killed process leaves it.

        Optuna claims a waiting trial by reading its state and then writing it. A database server locks the row in
        between; SQLite does not, and two processes would get the same trial (docs/decisions/0007).
        """
        if self.path:
            return FileLock(f"{self.path}.lock")
        if self.uri.startswith(database.POSTGRES):
            return database.advisory(self.optuna.engine, "farback.search")
        return nullcontext()

    @property
    def is_local(self) -> bool:
        """Whether `alone` surely keeps others out: then a trial without an owner was left by a process that died.

        On a database server it only saves work: trials that two processes make at once are void (`slots`).
        """
        return self.path is not None


def located(uri: str | None, root: Path) -> str:
    """The URI to use: the one given, else an SQLite file below `root`. SQLite paths become absolute.

    Raises:
        UserError: not a database.
    """
    chosen = uri or locations.SQLITE + str(root.resolve() / "results" / "store" / "optuna.db")
    path = locations.database(chosen)
    if path is not None:
        return locations.SQLITE + str(path)
    if "://" not in chosen or chosen.startswith(("http", "file:")):
        raise UserError(f"a study's storage is sqlite:///FILE or another database, got {locations.shown(chosen)!r}")
    locations.check_driver(chosen)
    return chosen


def opened(uri: str) -> Storage:
    """Open a storage; an SQLite file is made, once, if it is not there.

    Raises:
        UserError: it is MLflow's database, or cannot be opened.
    """
    path = locations.database(uri)
    with quiet():
        from optuna.storages import RDBStorage

        try:
            if path is None:
                return Storage(uri, _served(uri), None)
            database.create(path, lambda new: RDBStorage(locations.SQLITE + str(new)).engine.dispose())
            _check_owner(path)
            made = RDBStorage(uri, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}}, skip_table_creation=True)
            return Storage(uri, made, path)
        except UserError:
            raise
        except Exception as error:  # whatever a database's driver raises, its text may hold the password
            reason = locations.shown(str(error).splitlines()[0]) if str(error) else type(error).__name__
            raise UserError(f"the storage {locations.shown(uri)} cannot be opened: {reason}") from None


def _served(uri: str) -> Any:
    """A database server's storage. Those who meet on an empty database race for its tables: the losers come again."""
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    for attempt in range(FIRST_TOUCHES):
        try:
            return RDBStorage(uri)
        except (IntegrityError, ProgrammingError):
            if attempt == FIRST_TOUCHES - 1:
                raise
            time.sleep(attempt + 1)
    raise AssertionError


def exists(uri: str) -> bool:
    """Whether there may be a study: a server is asked only when it is opened."""
    path = locations.database(uri)
    return path is None or path.exists()


def _check_owner(path: Path) -> None:
    """Optuna and MLflow both keep a table `alembic_version`, and each would break the other's database."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    if "experiments" in tables or "studies" not in tables:
        raise UserError(f"{path} is not a database of Optuna's; studies need one of their own, such as optuna.db")


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna's chatter and its warnings about experimental parts, off while our calls run."""
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
    """Fail a trial whose process is gone, without counting it as a failure; False if it has ended.

    Args:
        storage: Optuna's.
        trial_id: Optuna's.
        reason: for people.
    """
    try:
        storage.set_trial_user_attr(trial_id, "reason", reason)
        storage.set_trial_user_attr(trial_id, "blameless", True)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    return True


def trial_keys(storage: Storage, experiment: str) -> set[str]:
    """The keys of every trial that the searches of an experiment have trained or are training."""
    with quiet():
        studies = [
            study for study in storage.optuna.get_all_studies() if study.user_attrs.get("experiment") == experiment
        ]
        trials = [
            trial for study in studies for trial in storage.optuna.get_all_trials(study._study_id, deepcopy=False)
        ]
    return {key for trial in trials for key in str(trial.user_attrs.get("keys", "")).split()}
