"""Writes files under another name and then renames them, so that no file is half written; makes temporary folders."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from farback.system.processes import file_mark, is_mark_of_dead

ABANDONED_SECONDS = 3600.0  # no file takes this long to write, so its writer was killed, perhaps on another machine
SCRATCH = "farback-"  # prefix of temporary folders


@contextmanager
def aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path to write to; at the end of the block the new file replaces `path`.

    If the block raises an exception or the process is killed, the earlier file stays unchanged. If several processes
    write the same file at once, the last one to finish wins. The folder must exist. A `durable` file is flushed to the
    disk, so that it survives a power failure.
    """
    sweep(path.parent, path.name)
    unfinished = path.with_name(f".{path.name}.{file_mark()}.unfinished")
    try:
        yield unfinished
        if durable:
            _flush(unfinished)
        os.replace(unfinished, path)
        if durable:
            _flush(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def sweep(folder: Path, name: str = "") -> None:
    """Remove files that killed processes left unfinished from a folder: versions of the file `name`, or of any file."""
    for old in folder.glob(f".{glob.escape(name) or '*'}.*.unfinished"):
        with suppress(OSError):
            if _is_abandoned(old, mark=old.name.split(".")[-2]):
                old.unlink()


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder for the block. Folders of killed processes are removed first."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{file_mark()}.") as name:
        yield Path(name)


@cache  # once per process
def _remove_abandoned(folder: Path) -> None:
    """Remove this user's temporary folders that killed processes left."""
    for old in folder.glob(f"{SCRATCH}*-*.*"):
        with suppress(OSError):
            is_own = not old.is_symlink() and old.stat().st_uid == os.getuid()
            if is_own and _is_abandoned(old, mark=old.name.removeprefix(SCRATCH).partition(".")[0]):
                shutil.rmtree(old)


def _is_abandoned(path: Path, mark: str) -> bool:
    return is_mark_of_dead(mark) or time.time() - path.stat().st_mtime > ABANDONED_SECONDS


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
