"""Whether a database can hold our trials, seen before anything is written: MLflow would try to make it its own."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import quote

from farback.stores import database, locations
from farback.stores.patience import StoreFault

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
