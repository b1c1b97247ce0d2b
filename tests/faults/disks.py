"""Small file systems, and the effects of a power loss on files."""

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
SITE = '''"""Logs which files a process has flushed to the disk, and their sizes."""

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
    """Mount a file system of `size` bytes at a folder; skip the test if that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"only root can mount a file system: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, rest: int) -> None:
    """Fill a file system except for `rest` bytes."""
    about = os.statvfs(folder)
    size = about.f_bavail * about.f_frsize - rest
    with (folder / BALLAST).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(PAGE, size // PAGE * PAGE))


def make_room(folder: Path) -> None:
    """Free the space that `fill` took."""
    (folder / BALLAST).unlink()


def watched(project: Project) -> dict[str, str]:
    """Environment variables that make a command log its flushes, for `lose_power`."""
    site = project.root / "tmp" / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "FLUSHED": str(_log(project))}


def lose_power(project: Project, rng: random.Random, drop_log: bool) -> list[Path]:
    """Damage the files of a dead command as a power loss may: truncate everything that was not flushed.

    SQLite flushes what it has committed with calls that are not logged, so a database only gets random bytes at the end
    of its log. A disk that reports a flush too early may lose the whole log.

    Args:
        project: without running commands.
        rng: decides what is lost.
        drop_log: whether to delete the whole log.

    Returns:
        The truncated files.
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
    """Truncate a file, or change one bit of it."""
    content = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        path.write_bytes(content[: rng.randrange(len(content))])
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
