"""Which process wrote something, and whether that process is gone.

Host names are not unique: machines of one image share a name, and containers have process tables of their own under
the host's name. So an identity also holds fingerprints of the machine, of its last boot and of the process table.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

import psutil

CLOCK_SECONDS = 2.0  # a process' start time may be read a little differently after the clock was set


def identity() -> str:
    """This process: "host:pid:start time@machine.boot.process table"."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}@{'.'.join(_fingerprints())}"


def is_here(process: str) -> bool:
    """Whether an identity is of a process that would be visible from here."""
    name, _, place = process.partition("@")
    host, *rest = name.rsplit(":", 2)
    if host != socket.gethostname() or len(rest) < 2 or not rest[0].isdigit():
        return False
    return not place or _same(place.split("."))


def is_dead(process: str) -> bool:
    """Whether the process ran here and is gone. False where that cannot be known: another host, or no identity."""
    if not is_here(process):
        return False
    name, _, place = process.partition("@")
    if place and place.split(".")[1] != _fingerprints()[1]:
        return True  # the machine was booted again since
    try:
        _, pid, start = name.rsplit(":", 2)
        found = psutil.Process(int(pid))
        same = abs(found.create_time() - float(start)) <= CLOCK_SECONDS
        return not same or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, ValueError):
        return False


def is_alive(process: str) -> bool:
    """Whether the process runs here now. False where that cannot be known."""
    return is_here(process) and not is_dead(process)


def file_mark() -> str:
    """This process as part of a file's name: "boot and process table-pid"."""
    return f"{''.join(_fingerprints()[1:])}-{os.getpid()}"


def is_mark_of_dead(mark: str) -> bool:
    """Whether the process of a `file_mark` ran here and is gone. False where that cannot be known."""
    place, _, pid = mark.rpartition("-")
    here = "".join(_fingerprints()[1:])
    return place == here != "" and pid.isdigit() and not psutil.pid_exists(int(pid))


def _same(place: list[str]) -> bool:
    """Whether fingerprints are of this process table, or of this machine before it was booted again."""
    here = _fingerprints()
    if len(place) != len(here):
        return False
    if place[1] == here[1]:
        return place[2] == here[2]
    return place[0] == here[0] != ""


@cache
def _fingerprints() -> tuple[str, str, str]:
    """Of the installed system, of its last boot, and of the process table; empty where the system has none."""
    table = os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
    return _hash(_read("/etc/machine-id")), _hash(_read("/proc/sys/kernel/random/boot_id")), _hash(table)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6] if text else ""
