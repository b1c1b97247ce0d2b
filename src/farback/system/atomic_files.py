"""Writes files under another name and then renames them, so that no file is half written; makes temporary folders.

What a killed process left is removed later, if two things prove that it may be: a mark that this module put in it, and
that the process which the mark names has ended. An unfinished file has the mark in its name, with a digest; a temporary
folder has a file that names the process.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from farback.system import processes

ABANDONED_SECONDS = 3600.0  # no file takes this long to write, so a writer on another machine was killed
UNFINISHED = re.compile(r"\.(?P<name>.+)\.(?P<mark>[0-9a-f]*-\d+)-(?P<digest>[0-9a-f]{12})\.unfinished")
SCRATCH, OWNER = "farback-", "made-by-farback"  # prefix of temporary folders, and the file in them that names a process


@contextmanager
def aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path to write to; at the end of the block the new file replaces `path`.

    If the block raises an exception or the process is killed, the earlier file stays unchanged. If several processes
    write the same file at once, the last one to finish wins. The folder must exist. A `durable` file is flushed to the
    disk, so that it survives a power failure.
    """
    sweep(path.parent, path.name)
    mark = processes.file_mark()
    unfinished = path.with_name(f".{path.name}.{mark}-{_digest(path.name, mark)}.unfinished")
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
            if _is_abandoned(old):
                old.unlink()


def _is_abandoned(path: Path) -> bool:
    """Whether `aside` made this file, in a process that has ended."""
    parts = UNFINISHED.fullmatch(path.name)
    if not parts or _digest(parts["name"], parts["mark"]) != parts["digest"]:
        return False
    if processes.is_own_mark(parts["mark"]):
        return processes.is_mark_of_dead(parts["mark"])
    return time.time() - path.stat().st_mtime > ABANDONED_SECONDS  # another machine, or before the last boot


def _digest(name: str, mark: str) -> str:
    return hashlib.sha256(f"an unfinished file of farback: {name} {mark}".encode()).hexdigest()[:12]


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder for the block. Folders of killed processes are removed first."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as name:
        (Path(name) / OWNER).write_text(processes.identity(), encoding="utf-8")
        files = Path(name) / "files"
        files.mkdir()
        yield files


@cache  # once per process
def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary folders that `scratch` made for this user, in processes of this machine that have ended."""
    for old in folder.glob(f"{SCRATCH}*"):
        with suppress(OSError, UnicodeDecodeError):
            is_own = not old.is_symlink() and old.stat().st_uid == os.getuid()
            if is_own and processes.is_dead((old / OWNER).read_text(encoding="utf-8")):
                shutil.rmtree(old)


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
