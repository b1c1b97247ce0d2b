"""Checks of the two databases, MLflow's and Optuna's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from farback.doctor.issues import Issue
from farback.records.user_error import UserError
from farback.stores import locations

BUSY_SECONDS = 20.0
RECOVER = "copy it elsewhere, then restore a backup or try `sqlite3 FILE .recover`"


def database(path: Path) -> Iterator[Issue]:
    """Check that a file is an intact SQLite database.

    Only SQLite opens the file: when a process closes any other handle of it, POSIX drops the locks of all of the
    process's connections, and another process may then delete the log that they write to.
    """
    try:
        if path.is_file() and not path.stat().st_size:
            yield _unusable(path, "is empty")
            return
        address = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
            problems = [str(row[0]) for row in connection.execute("pragma integrity_check(3)")]
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            yield _unusable(path, "is not a database")
            return
        locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        remedy = "check again when the other process has released it" if locked else RECOVER
        yield Issue("error", "database", f"cannot be read: {error}", str(path), remedy=remedy)
        return
    if problems != ["ok"]:
        yield Issue("error", "database", f"is damaged: {'; '.join(problems)}", str(path), remedy=RECOVER)


def _unusable(path: Path, what: str) -> Issue:
    remedy = "move it elsewhere, then restore a backup or let the next run create a new database"
    return Issue("error", "database", what, str(path), remedy=remedy)


def studies(uri: str) -> Iterator[Issue]:
    """Check that Optuna's database can be opened, if it exists."""
    path = locations.database(uri)
    if path is not None:
        broken = list(database(path)) if path.exists() else []
        yield from broken
        if broken or not path.exists():
            return
    from farback.stores.studies import opened  # optuna takes a second to import

    try:
        opened(uri, retry_seconds=0.0)
    except UserError as error:
        yield Issue("error", "studies", str(error), locations.named(uri))
