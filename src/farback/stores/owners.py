"""Who is writing a run: host, process and its start time, so that a dead driver's runs are recognised."""

from __future__ import annotations

import os
import socket

import psutil

CLOCK_SECONDS = 2.0  # a process' start time may be read a little differently after the clock was set


def owner() -> str:
    """This process, as "host:pid:start time"."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_here(text: str) -> bool:
    """Whether the owner runs, or ran, on this host."""
    return text.count(":") >= 2 and text.rsplit(":", 2)[0] == socket.gethostname()


def is_dead(text: str) -> bool:
    """Whether the owner ran on this host and is gone. False where that cannot be known: another host, or no owner."""
    host, _, rest = text.rpartition(":")[0].rpartition(":") if text.count(":") >= 2 else ("", "", "")
    started = text.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        process = psutil.Process(int(rest))
        same = abs(process.create_time() - float(started)) <= CLOCK_SECONDS
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, ValueError):
        return False
