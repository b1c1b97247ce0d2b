"""The database behind MLflow: made once, whoever meets on it, with indexes of our own for `queries`."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from farback.component import UserError
from farback.stores import locations

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
