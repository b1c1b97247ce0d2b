"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ABANDONED_SECONDS = 3600.0  # nobody writes one file for so long: its writer was killed


@contextmanager
def aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Where to write a file that takes its place, and that of an earlier one, at the end of the block.

    Where the block raises or the process is killed, the earlier file stays as it was. Several processes may write the
    same file at once: the last one to end has its way.

    Args:
        path: the file; its folder must exist.
        durable: whether it is on the disk at the end, so that a power cut does not take it either.
    """
    for old in path.parent.glob(f".{_escaped(path.name)}.*.unfinished"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > ABANDONED_SECONDS:
                old.unlink()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        if durable:
            _flush(unfinished)
        os.replace(unfinished, path)
        if durable:
            _flush(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


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
