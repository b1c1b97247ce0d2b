"""Who is writing a run: host, process and its start time, so that a dead driver's runs are recognised.

Host names are not unique: machines of one image are all called the same, and containers have processes of their own
under the host's name. So an owner also says which machine, which start of it, and which process table it means.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

import psutil

CLOCK_SECONDS = 2.0  # a process' start time may be read a little differently after the clock was set


def owner() -> str:
    """This process, as "host:pid:start time@machine.boot.process table"."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}@{'.'.join(_here())}"


def is_here(text: str) -> bool:
    """Whether the owner runs, or ran, where its process would be seen from here."""
    name, _, place = text.partition("@")
    if name.count(":") < 2 or name.rsplit(":", 2)[0] != socket.gethostname():
        return False
    return not place or _same(place.split("."))


def is_dead(text: str) -> bool:
    """Whether the owner ran here and is gone. False where that cannot be known: another host, or no owner."""
    name, _, place = text.partition("@")
    if not is_here(text) or not (pid := name.rsplit(":", 2)[1]).isdigit():
        return False
    if place and place.split(".")[1] != _here()[1]:
        return True  # the machine was started again since
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(name.rpartition(":")[2])) <= CLOCK_SECONDS
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, ValueError):
        return False


def is_alive(text: str) -> bool:
    """Whether the owner is a process that runs here now. False where that cannot be known."""
    return is_here(text) and not is_dead(text)


def _same(place: list[str]) -> bool:
    """Whether a place is this one: the same process table, or the same machine before it was started again."""
    here = _here()
    if len(place) != len(here):
        return False
    if place[1] == here[1]:
        return place[2] == here[2]
    return place[0] == here[0] != ""


@cache
def _here() -> tuple[str, str, str]:
    """Fingerprints of the installed system, of its last start, and of the process table; empty where there is none."""
    return (
        _print(_text("/etc/machine-id")),
        _print(_text("/proc/sys/kernel/random/boot_id")),
        _print(os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""),
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _print(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6] if text else ""
