"""Files that are whole or not there: written aside, then renamed. And folders for a while, cleared after a kill."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

ABANDONED_SECONDS = 3600.0  # nobody writes one file for so long: its writer was killed, wherever it ran
SCRATCH = "farback-"  # what folders for a while begin with


@contextmanager
def aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Where to write a file that takes its place, and that of an earlier one, at the end of the block.

    Where the block raises or the process is killed, the earlier file stays as it was. Several processes may write the
    same file at once: the last one to end has its way.

    Args:
        path: the file; its folder must exist.
        durable: whether it is on the disk at the end, so that a power cut does not take it either.
    """
    sweep(path.parent, path.name)
    unfinished = path.with_name(f".{path.name}.{_here()}-{os.getpid()}.unfinished")
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
    """Remove what writers left that were killed.

    Args:
        folder: where.
        name: of the file that they were at; "" for any.
    """
    for old in folder.glob(f".{_escaped(name) or '*'}.*.unfinished"):
        with suppress(OSError):
            if _is_gone(old.name.removesuffix(".unfinished").rpartition(".")[2]) or _age(old) > ABANDONED_SECONDS:
                old.unlink()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in the system's temporary one, for the length of the block.

    Those that killed processes have left are removed first.
    """
    _clear()
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{_here()}-{os.getpid()}.") as name:
        yield Path(name)


@cache
def _clear() -> None:
    """Once in a process: remove folders of killed ones that were this user's."""
    for old in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*-*.*"):
        with suppress(OSError):
            ours = not old.is_symlink() and old.stat().st_uid == os.getuid()
            if ours and (_is_gone(old.name.removeprefix(SCRATCH).partition(".")[0]) or _age(old) > ABANDONED_SECONDS):
                shutil.rmtree(old)


def _is_gone(writer: str) -> bool:
    """Whether a writer's process was one that would be seen from here, and is not."""
    here, _, number = writer.rpartition("-")
    return here != "" and here == _here() and number.isdigit() and not psutil.pid_exists(int(number))


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


@cache
def _here() -> str:
    """A fingerprint of this machine's last start and its table of processes; empty where the system tells neither."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        return hashlib.sha256(f"{boot} {os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:8]
    return ""


def _escaped(name: str) -> str:
    """A name in which nothing stands for other names."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
