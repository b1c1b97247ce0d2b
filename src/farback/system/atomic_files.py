"""Files that are whole or absent: written under another name, then renamed. And folders that do not outlive a kill."""

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

ABANDONED_SECONDS = 3600.0  # no file takes this long to write: its writer was killed, on whichever machine it ran
SCRATCH = "farback-"  # first part of the names of temporary folders


@contextmanager
def aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path to write to; at the end of the block that file replaces `path`.

    If the block raises or the process is killed, the earlier file stays as it was. Several processes may write the same
    file at once: the last one to finish wins.

    Args:
        path: the file; its folder must exist.
        durable: whether to flush it to the disk, so that it survives a power cut.
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
    """Remove unfinished files of killed processes.

    Args:
        folder: where to look.
        name: of the file that was being written; "" for any.
    """
    for old in folder.glob(f".{glob.escape(name) or '*'}.*.unfinished"):
        with suppress(OSError):
            if (
                is_mark_of_dead(old.name.removesuffix(".unfinished").rpartition(".")[2])
                or _age(old) > ABANDONED_SECONDS
            ):
                old.unlink()


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder for the length of the block. Folders that killed processes left are removed first."""
    _clear(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{file_mark()}.") as name:
        yield Path(name)


@cache
def _clear(folder: Path) -> None:
    """Once per process: remove this user's temporary folders whose process was killed."""
    for old in folder.glob(f"{SCRATCH}*-*.*"):
        with suppress(OSError):
            ours = not old.is_symlink() and old.stat().st_uid == os.getuid()
            mark = old.name.removeprefix(SCRATCH).partition(".")[0]
            if ours and (is_mark_of_dead(mark) or _age(old) > ABANDONED_SECONDS):
                shutil.rmtree(old)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _flush(path: Path) -> None:
    """Have the system write a file, or the entries of a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
