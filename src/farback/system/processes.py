"""Identifies processes, so that a later process can check whether the one that wrote a file still runs.

Host names are not unique: machines made from one image share a name, and a container has its own process table under
the host's name. So an identity also has fingerprints of the machine, of its last boot and of the process table.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

import psutil

CLOCK_SECONDS = 2.0  # tolerance for a process' start time where it is in seconds since 1970


def identity() -> str:
    """This process' identity, "host:pid:start time@machine.boot.process table"."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(psutil.Process()):.2f}@{'.'.join(_fingerprints())}"


def is_here(process: str) -> bool:
    """Whether a process, if it still runs, is in the process table that this process sees."""
    name, _, place = process.partition("@")
    host, *rest = name.rsplit(":", 2)
    if host != socket.gethostname() or len(rest) < 2 or not rest[0].isdigit():
        return False
    return not place or _same(place.split("."))


def is_dead(process: str) -> bool:
    """Whether a process of this machine has ended. False for other machines, and for texts that are no identity."""
    if not is_here(process):
        return False
    name, _, place = process.partition("@")
    if place and place.split(".")[1] != _fingerprints()[1]:
        return True  # the machine was rebooted
    try:
        _, pid, start = name.rsplit(":", 2)
        current = psutil.Process(int(pid))
        starts = _started(current), current.create_time()  # farback 0.1.0 recorded the latter
        is_same = min(abs(each - float(start)) for each in starts) <= CLOCK_SECONDS
        return not is_same or current.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, ValueError):
        return False


def is_alive(process: str) -> bool:
    """Whether a process of this machine runs. False for other machines, and for texts that are no identity."""
    return is_here(process) and not is_dead(process)


def _started(process: psutil.Process) -> float:
    """When a process started: on Linux in seconds since the boot, which a step of the clock does not change."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        return int(fields.split()[19]) / os.sysconf("SC_CLK_TCK")  # field 22, counted from the first
    except (OSError, IndexError, ValueError):
        return process.create_time()


def file_mark() -> str:
    """A text for file names that identifies this process: fingerprints of boot and process table, "-", process id."""
    return f"{''.join(_fingerprints()[1:])}-{os.getpid()}"


def is_own_mark(mark: str) -> bool:
    """Whether a `file_mark` was made in this process table since the last boot. False if the system has no marks."""
    return mark.rpartition("-")[0] == "".join(_fingerprints()[1:]) != ""


def is_mark_of_dead(mark: str) -> bool:
    """Whether the process with a `file_mark` no longer runs. False for marks of other machines."""
    pid = mark.rpartition("-")[2]
    return is_own_mark(mark) and pid.isdigit() and not psutil.pid_exists(int(pid))


def _same(place: list[str]) -> bool:
    """Whether the fingerprints belong to this process table, or to this machine before its last boot."""
    own = _fingerprints()
    if len(place) != len(own):
        return False
    if place[1] == own[1]:
        return place[2] == own[2]
    return place[0] == own[0] != ""


@cache
def _fingerprints() -> tuple[str, str, str]:
    """Fingerprints of the installed system, its last boot and the process table; "" where the system has none."""
    table = os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
    return _hash(_read("/etc/machine-id")), _hash(_read("/proc/sys/kernel/random/boot_id")), _hash(table)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6] if text else ""
