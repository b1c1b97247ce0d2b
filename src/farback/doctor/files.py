"""Checks of what lies on the disk: the database files, what killed processes left, checkpoints, artifacts."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from farback.doctor.findings import Finding, Mend, Remove, Rename, counted, unless
from farback.doctor.runs import Trials
from farback.system import safetensors

HEADER = b"SQLite format 3\0"
CHECKPOINTS, SUFFIX, UNREADABLE = "checkpoints", ".safetensors", ".unusable"
STALE_SECONDS = 600.0  # a checkpoint is written in a moment, so what is older was left by a process that died
BUSY_SECONDS = 20.0


def database(path: Path) -> Iterator[Finding]:
    """Whether a file is a whole SQLite database. An error here means that nothing else can be looked at."""
    try:
        with path.open("rb") as file:
            head = file.read(len(HEADER))
        if head != HEADER:
            what = "is not a database" if head else "is empty"
            remedy = "move it away, and restore a backup or let the next run begin a new one"
            yield Finding("error", "database", what, str(path), remedy=remedy)
            return
        address = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
            said = [str(row[0]) for row in connection.execute("pragma integrity_check(3)")]
    except (OSError, sqlite3.Error) as error:
        remedy = "try again when no other process holds it"
        if not (isinstance(error, sqlite3.OperationalError) and "locked" in str(error)):
            remedy = "copy it away, and restore a backup or try `sqlite3 FILE .recover`"
        yield Finding("error", "database", f"cannot be read: {error}", str(path), remedy=remedy)
        return
    if said != ["ok"]:
        remedy = "copy it away, and restore a backup or try `sqlite3 FILE .recover`"
        yield Finding("error", "database", f"is damaged: {'; '.join(said)}", str(path), remedy=remedy)


def half_made(path: Path) -> Iterator[Finding]:
    """What a process left that was killed while it made a database."""
    left = path.with_name(path.name + ".new")
    if left.exists():
        mend = Remove(left, lock=path.with_name(path.name + ".lock"))
        what, remedy = "was left by a process that was killed while it made the database", "removes it"
        yield Finding("warning", "leftovers", what, str(left), "", remedy, (mend,))


def checkpoints(folder: Path, trials: Trials, experiment: str) -> Iterator[Finding]:
    """What is kept of trials in training: of those that have finished nothing should be.

    Args:
        folder: of the store.
        trials: the experiment's runs.
        experiment: its name.
    """
    here, waiting = folder / CHECKPOINTS / experiment, 0
    for path in sorted(here.iterdir()) if here.is_dir() else ():
        if path.name.endswith(UNREADABLE):
            continue
        key = path.name.partition(".")[0]
        held = trials.is_held(key)
        if path.suffix != SUFFIX:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                what, remedy = "was left by a process that was killed while it wrote", "removes it"
                fixed = unless(held, remedy, (Remove(path),))
                yield Finding("warning", "leftovers", what, str(path), experiment, *fixed)
        elif key in trials.standing:
            what, remedy = "is a checkpoint of a trial that has finished", "removes it"
            yield Finding("warning", "checkpoints", what, str(path), experiment, *unless(held, remedy, (Remove(path),)))
        elif reason := unreadable(path):
            what = f"is a checkpoint that cannot be read: {reason}"
            remedy = "sets it aside; the next run trains the trial from the beginning"
            mends: tuple[Mend, ...] = (Rename(path, UNREADABLE),)
            yield Finding("warning", "checkpoints", what, str(path), experiment, *unless(held, remedy, mends))
        else:
            waiting += 1
    if waiting:
        what = f"{counted(waiting, 'trial')} to go on from a checkpoint at the next run"
        yield Finding("note", "checkpoints", what, "", experiment)


def unreadable(path: Path) -> str:
    """Why a checkpoint cannot be read; "" where it can."""
    try:
        safetensors.unpacked(path.read_bytes())
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def artifacts(folder: Path, known: Collection[str], experiment: str) -> Iterator[Finding]:
    """Folders of artifacts that no run of this database has. They may be another database's: nothing is touched.

    Args:
        folder: of the experiment's artifacts.
        known: the ids of all runs, deleted ones too.
        experiment: its name.
    """
    if not folder.is_dir():
        return
    others = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in known)
    if others:
        what = f"{counted(len(others), 'folder')} of artifacts without a run in this database, the first: {others[0]}"
        remedy = "nothing: they may be another database's, or what a backup lost"
        yield Finding("note", "artifacts", what, str(folder), experiment, remedy)
