"""The database behind MLflow: made once, whoever meets on it, with indexes of our own for `queries`."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock

from farback.records.record import UserError
from farback.stores import database, locations
from farback.stores.retries import StoreFault

POSTGRES = "postgresql"
BUSY_SECONDS = 20.0  # MLflow waits so long for a writer, too
ADVISORY_SECONDS = 30.0
MAKING = "farback.store"  # the lock of who makes the tables

# A value of any other tag may be too long for an index of PostgreSQL's; a trial's key has 16 characters
INDEXES = {
    "farback_key": "create index if not exists farback_key on tags (value) where key = 'farback.key'",
    "farback_running": "create index if not exists farback_running on runs (experiment_id) where status = 'RUNNING'",
}


def engine(uri: str) -> Any:
    """SQLAlchemy's engine, which keeps no connection open.

    Raises:
        UserError: the database's driver is not installed.
    """
    from sqlalchemy import NullPool, create_engine

    waits = {"timeout": BUSY_SECONDS} if locations.database(uri) is not None else {}
    try:
        return create_engine(uri, poolclass=NullPool, connect_args=waits)
    except ModuleNotFoundError as error:
        hint = "uv pip install 'farback[postgres]'" if uri.startswith(POSTGRES) else f"install {error.name}"
        raise UserError(f"{locations.shown(uri)} needs {error.name}, which is not installed: {hint}") from None


def prepare(uri: str, migrate: Callable[[str], None]) -> None:
    """Make MLflow's tables and our index if they are not there, whoever else may be doing so. A server does it itself.

    Args:
        uri: of the store.
        migrate: makes MLflow's tables in the database that it is given the URI of, and closes it.
    """
    path = locations.database(uri)
    if path is not None:
        create(path, lambda new: migrate(locations.SQLITE + str(new)))
        _index_file(path)
    elif uri.startswith(POSTGRES):
        _prepare_served(uri, migrate)


def create(path: Path, migrate: Callable[[Path], None]) -> None:
    """Make an SQLite database if it is not there, whoever else may be doing so.

    MLflow's migrations take no lock: processes that meet on a fresh file break it for good, and so does a kill midway.
    So one process at a time makes it under another name, then renames it.

    Args:
        path: the file.
        migrate: makes MLflow's tables in the file it is given, and closes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            return
        unfinished = path.with_name(path.name + ".new")
        unfinished.unlink(missing_ok=True)
        migrate(unfinished)
        with contextlib.closing(sqlite3.connect(unfinished)) as connection:
            connection.execute("pragma journal_mode=wal")  # readers (the UI) and the writer do not wait for each other
        os.replace(unfinished, path)


def _index_file(path: Path) -> None:
    """Add the index to a file that has MLflow's tables. Without it everything works, but for the time it takes."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as opened:
        there = {name for (name,) in opened.execute("select name from sqlite_master")}
        for name in INDEXES.keys() - there if {"tags", "runs"} <= there else ():
            opened.execute(INDEXES[name])
        opened.commit()


def _prepare_served(uri: str, migrate: Callable[[str], None]) -> None:
    """The same on a PostgreSQL server. Who may not make an index there goes without."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    made = engine(uri)
    with made.connect() as connection:
        there = set(connection.execute(text("select indexname from pg_indexes")).scalars())
    if INDEXES.keys() <= there:
        return
    with advisory(made, MAKING):
        migrate(uri)
        with contextlib.suppress(SQLAlchemyError), made.begin() as connection:
            for name in sorted(INDEXES.keys() - there):
                connection.execute(text(INDEXES[name]))


@contextmanager
def advisory(served: Any, name: str) -> Iterator[None]:
    """A lock that PostgreSQL keeps for one connection; after a while without it, for its holder may have lost power.

    Args:
        served: the server's engine.
        name: of the lock.
    """
    from sqlalchemy import text

    asked = {"key": zlib.crc32(name.encode())}
    with served.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        until = time.monotonic() + ADVISORY_SECONDS
        held = False
        while not held and time.monotonic() < until:
            held = bool(connection.execute(text("select pg_try_advisory_lock(:key)"), asked).scalar())
            if not held:
                time.sleep(0.05)
        try:
            yield
        finally:
            if held:
                connection.execute(text("select pg_advisory_unlock(:key)"), asked)


LOCK_SECONDS = 1.0  # for which SQLite waits by itself: the patience is ours

OURS = {"experiments", "runs", "tags", "metrics", "params"}  # tables of MLflow's, in every version


def check(uri: str, known: Callable[[], tuple[str, frozenset[str]]]) -> None:
    """Refuse what is not MLflow's database, or not of the installed version. What is not there yet is fine.

    Args:
        uri: of the store. A server of MLflow's looks after its database itself.
        known: the version of MLflow's tables that is installed, and all that it knows.

    Raises:
        StoreFault: it cannot be used as it is.
        sqlite3.Error: it is locked, no database, or damaged.
    """
    path = locations.database(uri)
    if path is not None:
        _check_place(path)
        if path.exists():
            _check_file(path, known)
    elif uri.startswith(database.POSTGRES):
        _check_served(uri, known)


def _check_place(path: Path) -> None:
    """The folder has to be there, or to be made, and to be written to: SQLite keeps files beside its database."""
    if path.is_dir():
        raise StoreFault(f"{path} is a folder: a store is a file in it, such as sqlite:///{path}/mlflow.db")
    there = next(folder for folder in path.parents if folder.exists() or folder.is_symlink())
    if not there.exists():
        raise StoreFault(f"{there} is a link to {there.readlink()}, which is not there: mount it, or remove the link")
    if not there.is_dir():
        raise StoreFault(f"{there} is a file: {path} cannot be in it")
    for each in (there, path):
        if each.exists() and not os.access(each, os.W_OK):
            raise StoreFault(f"{each} cannot be written to: see to its permissions, or choose another --store")


def _check_file(path: Path, known: Callable[[], tuple[str, frozenset[str]]]) -> None:
    if path.stat().st_size == 0:
        raise StoreFault(f"{path} is an empty file: remove it, and a database is made in its place")
    uri = f"file:{quote(str(path))}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS)) as opened:
        tables = {name for (name,) in opened.execute("select name from sqlite_master where type = 'table'")}
        versions = []
        if "alembic_version" in tables:
            versions = [version for (version,) in opened.execute("select version_num from alembic_version")]
        _judge(str(path), tables, versions, known)
        opened.execute("begin immediate")  # whether another process holds it, and whether it can be written to
        opened.execute("rollback")


def _check_served(uri: str, known: Callable[[], tuple[str, frozenset[str]]]) -> None:
    from sqlalchemy import inspect, text

    served = database.engine(uri)
    with database.advisory(served, database.MAKING), served.connect() as connection:  # not while they are being made
        tables = set(inspect(connection).get_table_names())
        if not tables:
            return
        versions = []
        if "alembic_version" in tables:
            versions = list(connection.execute(text("select version_num from alembic_version")).scalars())
    _judge(locations.shown(uri), tables, versions, known)


def _judge(
    place: str, tables: set[str], versions: Collection[str], known: Callable[[], tuple[str, frozenset[str]]]
) -> None:
    if not tables >= OURS:
        kind = "of Optuna's: studies and trials need one each" if "studies" in tables else "not MLflow's"
        raise StoreFault(f"the database {place} is {kind}; nothing was changed: choose another --store")
    if len(versions) != 1:
        raise StoreFault(f"the database {place} notes {len(versions)} versions of its tables: nothing was changed")
    head, older = known()
    (version,) = versions
    if version == head:
        return
    if version in older:
        raise StoreFault(
            f"the database {place} is of an older MLflow (tables {version}, and {head} is installed): nothing was "
            f"changed; keep a copy of it, then bring it up to date with: mlflow db upgrade URI"
        )
    raise StoreFault(
        f"the database {place} is of a newer MLflow (tables {version}, and {head} is installed): nothing was changed; "
        f"install a newer farback, or choose another --store"
    )
