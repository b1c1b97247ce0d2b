"""Prepares a store's database: checks it, creates it once even if many processes open it, and indexes it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

from filelock import FileLock

from farback.stores import locations
from farback.stores.retries import StoreFault
from farback.system.atomic_files import aside

POSTGRES = "postgresql"
BUSY_SECONDS = 20.0  # how long to wait for another writer; MLflow waits as long
LOCK_SECONDS = 1.0  # how long one check waits for a lock; `Retries` repeats the check
ADVISORY_SECONDS = 30.0  # how long to wait for a lock that only saves work
PREPARING_SECONDS = 600.0  # creating the tables takes minutes on a slow server, and two that do it break them
PREPARING = "farback.store"  # name of the lock held while tables are created
OWN_TABLES = {  # tables that every version of a program has
    "MLflow": {"experiments", "runs", "tags", "metrics", "params"},
    "Optuna": {"studies", "trials", "study_directions"},
}
OPTIONS = {"MLflow": "--store", "Optuna": "--storage"}

# A value of any other tag may be too long for an index in PostgreSQL; a trial's key has 16 characters
INDEXES = {
    "farback_key": "create index if not exists farback_key on tags (value) where key = 'farback.key'",
    "farback_running": "create index if not exists farback_running on runs (experiment_id) where status = 'RUNNING'",
}

Versions = Callable[[], tuple[str, frozenset[str]]]  # MLflow's current table version, and all that it knows
Check = Callable[[str, set[str], Collection[str]], None]  # checks a place, its tables, and their recorded versions


def engine(uri: str) -> Any:
    """SQLAlchemy's engine, without a pool of connections."""
    from sqlalchemy import NullPool, create_engine

    waits = {"timeout": BUSY_SECONDS} if locations.database(uri) is not None else {}
    return create_engine(uri, poolclass=NullPool, connect_args=waits)


def prepare(uri: str, migrate: Callable[[str], None], versions: Versions) -> None:
    """Create MLflow's tables and our indexes where they are missing; refuse a database that MLflow cannot use.

    An MLflow server prepares its database itself. `migrate` creates MLflow's tables in the database at a URI, and
    closes it.

    Raises:
        StoreFault: the database belongs to another program or another version of MLflow, or cannot be written to.
        sqlite3.Error: it is locked, damaged, or not a database.
    """

    def check(place: str, tables: set[str], recorded: Collection[str]) -> None:
        check_owner("MLflow", place, tables)
        _check_version(place, recorded, versions)

    path = locations.database(uri)
    if path is not None:
        prepare_file(path, check, lambda new: migrate(locations.sqlite(new)))
        _index_file(path)
        _update_addresses(path)
    elif not uri.startswith("http"):
        prepare_server(uri, check, migrate, INDEXES if uri.startswith(POSTGRES) else {})


def prepare_file(path: Path, check: Check, migrate: Callable[[Path], None]) -> None:
    """Check an SQLite database, or create it with `migrate` where there is no file. Raises as `prepare`."""
    _check_path(path)
    if path.exists():
        _check_file(path, check)
    create(path, migrate)


def prepare_server(
    uri: str, check: Check, migrate: Callable[[str], None], indexes: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Check the tables of a database on a server, or create them with `migrate` where it has none. Raises as `prepare`.

    On PostgreSQL one process at a time does this, and adds missing `indexes` if the user may: they only save time.
    """
    from sqlalchemy import inspect, text
    from sqlalchemy.exc import SQLAlchemyError

    server = engine(uri)
    locked = advisory(server, PREPARING, PREPARING_SECONDS) if uri.startswith(POSTGRES) else contextlib.nullcontext()
    with locked:
        with server.connect() as connection:
            tables = set(inspect(connection).get_table_names())
            recorded = []
            if "alembic_version" in tables:
                recorded = list(connection.execute(text("select version_num from alembic_version")).scalars())
        if tables:
            check(locations.named(uri), tables, recorded)
        else:
            migrate(uri)
        if indexes:
            with contextlib.suppress(SQLAlchemyError), server.begin() as connection:
                existing = set(connection.execute(text("select indexname from pg_indexes")).scalars())
                for name in sorted(indexes.keys() - existing):
                    connection.execute(text(indexes[name]))


def create(path: Path, migrate: Callable[[Path], None]) -> None:
    """Create an SQLite database if it does not exist. Several processes may do this at once.

    MLflow's migrations take no lock: two processes that run them on one new file break it, and so does a kill midway.
    So one process at a time creates the file under another name, then renames it; `migrate` has to close the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            return
        with aside(path) as unfinished:
            migrate(unfinished)
            with contextlib.closing(sqlite3.connect(unfinished)) as connection:
                connection.execute("pragma journal_mode=wal")  # readers (the UI) and the writer do not block each other


@contextmanager
def advisory(server: Any, name: str, seconds: float) -> Iterator[None]:
    """Hold a lock on a PostgreSQL server during the block; after these seconds without it, run the block anyway."""
    from sqlalchemy import text

    key = {"key": zlib.crc32(name.encode())}
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        until = time.monotonic() + seconds
        is_held = False
        while not is_held and time.monotonic() < until:
            is_held = bool(connection.execute(text("select pg_try_advisory_lock(:key)"), key).scalar())
            if not is_held:
                time.sleep(0.05)
        try:
            yield
        finally:
            if is_held:
                connection.execute(text("select pg_advisory_unlock(:key)"), key)


def _check_path(path: Path) -> None:
    """Check that the folder exists or can be created, and is writable: SQLite keeps files beside its database."""
    if path.is_dir():
        raise StoreFault(f"{path} is a folder; name a file in it, such as sqlite:///{path}/mlflow.db")
    parent = next(folder for folder in path.parents if folder.exists() or folder.is_symlink())
    if not parent.exists():
        raise StoreFault(
            f"{parent} is a link to {parent.readlink()}, which does not exist: mount it, or remove the link"
        )
    if not parent.is_dir():
        raise StoreFault(f"{parent} is a file, so {path} cannot be created")
    for each in (parent, path):
        if each.exists() and not os.access(each, os.W_OK):
            raise StoreFault(f"{each} cannot be written to: check its permissions, or choose another --store")


def _check_file(path: Path, check: Check) -> None:
    if path.stat().st_size == 0:
        raise StoreFault(f"{path} is an empty file: remove it, and the next run creates a database in its place")
    uri = f"file:{quote(str(path))}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS)) as opened:
        tables = {name for (name,) in opened.execute("select name from sqlite_master where type = 'table'")}
        recorded = []
        if "alembic_version" in tables:
            recorded = [version for (version,) in opened.execute("select version_num from alembic_version")]
        check(str(path), tables, recorded)
        opened.execute("begin immediate")  # fails if another process has locked the file, or it is read-only
        opened.execute("rollback")


def _index_file(path: Path) -> None:
    """Add the missing indexes. Without them everything works, only slower."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as opened:
        names = {name for (name,) in opened.execute("select name from sqlite_master")}
        for name in INDEXES.keys() - names:
            opened.execute(INDEXES[name])
        opened.commit()


def _update_addresses(path: Path) -> None:
    """Let MLflow's pages find the artifacts of a store that was moved or copied: its addresses are absolute.

    farback itself does not need this (`locations.local`).
    """
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as opened:
        for number, old in opened.execute("select experiment_id, artifact_location from experiments").fetchall():
            above, name = Path(urlsplit(old or "").path).parts[-2:] or ("", "")
            new = f"{(path.parent / locations.ARTIFACTS).as_uri()}/{name}"
            if old.startswith("file:") and above == locations.ARTIFACTS and old != new:
                opened.execute("update experiments set artifact_location = ? where experiment_id = ?", (new, number))
                opened.execute(
                    "update runs set artifact_uri = ? || substr(artifact_uri, ?) "
                    "where experiment_id = ? and substr(artifact_uri, 1, ?) = ?",
                    (new, len(old) + 1, number, len(old) + 1, old + "/"),
                )
        opened.commit()


def check_owner(program: str, place: str, tables: set[str]) -> None:
    """Refuse a database that is not this program's, "MLflow" or "Optuna", before anything is written to it.

    Both keep a table `alembic_version`, and would break each other's.

    Raises:
        StoreFault: the tables are another program's.
    """
    others = [other for other in OWN_TABLES if other != program and tables >= OWN_TABLES[other]]
    if tables >= OWN_TABLES[program] and not others:
        return
    owner = f"belongs to {others[0]}, and {program} needs its own" if others else f"is not {program}'s"
    raise StoreFault(f"the database {place} {owner}; nothing was changed: choose another {OPTIONS[program]}")


def _check_version(place: str, recorded: Collection[str], versions: Versions) -> None:
    """Check that MLflow's tables are of the installed version."""
    if len(recorded) != 1:
        raise StoreFault(f"{place} has {len(recorded)} table versions; nothing was changed: choose another --store")
    installed, known = versions()
    (version,) = recorded
    if version == installed:
        return
    if version in known:
        raise StoreFault(
            f"the database {place} is of an older MLflow (tables {version}, installed {installed}); nothing was "
            f"changed: keep a copy of it, then upgrade it with: mlflow db upgrade URI"
        )
    raise StoreFault(
        f"the database {place} was written by a newer MLflow (tables {version}, installed {installed}); "
        f"nothing was changed: install a newer farback, or choose another --store"
    )
