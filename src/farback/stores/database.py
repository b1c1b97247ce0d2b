"""MLflow's SQLite file: made once, and read fast.

MLflow has no call that names the runs of an experiment without loading all their metrics (1.5 ms each), so `ended` asks
the file, read-only. That couples to MLflow's tables: the store falls back on MLflow's own search when it fails, and a
test keeps the two in step.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from filelock import FileLock


class Past(NamedTuple):
    """A run that has ended."""

    key: str
    run_id: str
    status: str  # FINISHED, FAILED or KILLED
    ended: int  # ms since 1970
    artifacts: str  # URI


def newest(ended: Iterable[Past]) -> dict[str, Past]:
    """The finished run that stands for each key, where there are several."""
    found: dict[str, Past] = {}
    for run in ended:
        if run.status == "FINISHED" and (run.key not in found or _age(found[run.key]) < _age(run)):
            found[run.key] = run
    return found


def _age(run: Past) -> tuple[int, str]:
    return run.ended, run.run_id


ENDED = """
    select key.value, runs.run_uuid, runs.status, coalesce(runs.end_time, 0), runs.artifact_uri
    from runs
    join tags as key on key.run_uuid = runs.run_uuid and key.key = 'farback.key'
    join tags as kind on kind.run_uuid = runs.run_uuid and kind.key = 'kind' and kind.value = 'trial'
    where runs.experiment_id = ? and runs.status != 'RUNNING' and runs.lifecycle_stage = 'active'
"""


def create(path: Path, migrate: Callable[[Path], None]) -> None:
    """Make the database if it is not there, whoever else may be doing so.

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


def ended(path: Path, experiment_id: str) -> list[Past]:
    """The trial runs of an experiment that have ended.

    Raises:
        sqlite3.Error: the file is not as expected.
    """
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=20)) as connection:
        return [Past(*row) for row in connection.execute(ENDED, (int(experiment_id),))]
