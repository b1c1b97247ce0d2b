"""File systems of a few megabytes, and what a power loss leaves of files."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from projects import Project

BALLAST = "ballast"
PAGE = 4096  # bytes: tmpfs gives space by the page
SITE = '''"""Notes which bytes a process has asked the system to write to the disk."""

import os

_fsync = os.fsync


def fsync(descriptor):
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    _fsync(number)
    about = os.fstat(number)
    with open(os.environ["FLUSHED"], "a") as log:
        log.write(f"{about.st_dev} {about.st_ino} {about.st_size}\\n")


os.fsync = fsync
'''


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes at a folder. Where it may not be mounted, the test is skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system can be mounted by root only: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, rest: int) -> None:
    """Take all the space of a file system but for so many bytes."""
    about = os.statvfs(folder)
    size = about.f_bavail * about.f_frsize - rest
    with (folder / BALLAST).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(PAGE, size // PAGE * PAGE))


def make_room(folder: Path) -> None:
    """Give it back."""
    (folder / BALLAST).unlink()


def watched(project: Project) -> dict[str, str]:
    """The environment of a command whose flushes are noted, for `lose_power`."""
    site = project.root / "tmp" / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "FLUSHED": str(_log(project))}


def lose_power(project: Project, rng: random.Random, drop_log: bool) -> list[Path]:
    """Do to the files of a dead command what a power loss may do: everything that was not flushed is cut short.

    SQLite flushes what it has committed, by calls that we do not see: of its database only the end of its log is torn,
    by bytes that were on their way. A disk that lies about flushing may lose the whole log.

    Args:
        project: all of its commands have ended.
        rng: decides what is lost.
        drop_log: whether the disk lied.

    Returns:
        What was cut.
    """
    log = _log(project)
    flushed = {}
    for line in log.read_text().splitlines() if log.exists() else []:
        device, inode, size = map(int, line.split())
        flushed[device, inode] = size
    cut = []
    for path in sorted(path for path in project.root.rglob("*") if _is_at_risk(path.relative_to(project.root), path)):
        about = path.stat()
        safe = flushed.get((about.st_dev, about.st_ino), 0)
        if safe < about.st_size:
            cut.append(path)
            os.truncate(path, rng.randint(safe, about.st_size - 1))
    for database in project.store.glob("*.db"):
        wal, index = (database.with_name(database.name + end) for end in ("-wal", "-shm"))
        index.unlink(missing_ok=True)
        if wal.exists() and drop_log:
            wal.unlink()
        elif wal.exists():
            with wal.open("ab") as file:
                file.write(rng.randbytes(rng.randint(1, 2 * PAGE)))
    return cut


def _is_at_risk(name: Path, path: Path) -> bool:
    ours = name.parts[0] in ("tmp", "experiments") or name == Path("configs/small.yaml")
    return path.is_file() and not ours and ".db" not in path.name


def _log(project: Project) -> Path:
    return project.root / "tmp" / "flushed"


def damage(path: Path, rng: random.Random) -> None:
    """Cut a file short, or turn one bit in it."""
    held = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        path.write_bytes(held[: rng.randrange(len(held))])
    else:
        held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
        path.write_bytes(held)
