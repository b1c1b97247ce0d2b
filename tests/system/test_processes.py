"""Identities of processes: who is alive, who is gone, and of whom that cannot be known."""

import os
import socket

import psutil
import pytest

from farback.system import processes

UNUSED_PID = 2**22 + 1  # above the largest that Linux gives


def test_a_process_is_gone_only_if_its_machine_and_process_table_match() -> None:
    name, place = processes.identity().split("@")
    machine, boot, table = place.split(".")
    gone = f"{socket.gethostname()}:{UNUSED_PID}:1.00"
    assert processes.is_dead(gone)  # as earlier releases wrote it
    assert processes.is_dead(f"{gone}@{place}")
    assert processes.is_alive(f"{name}@{place}")
    assert not processes.is_dead(f"{gone}@{machine}.{boot}.another")  # a container of this machine
    assert not processes.is_dead(f"{gone}@another.another.{table}")  # a machine of the same name
    assert not processes.is_dead(f"elsewhere:{UNUSED_PID}:1.00@{place}")
    if machine:
        assert processes.is_dead(f"{name}@{machine}.earlier.{table}")  # before the machine was booted again


def test_a_process_with_a_reused_pid_is_another_process() -> None:
    parent = psutil.Process(os.getppid())
    assert processes.is_alive(f"{socket.gethostname()}:{parent.pid}:{parent.create_time():.2f}")
    assert processes.is_dead(f"{socket.gethostname()}:{parent.pid}:{parent.create_time() - 100:.2f}")


def test_a_text_that_is_no_identity_is_neither_dead_nor_alive() -> None:
    for text in ("", "a", "a:b", f"{socket.gethostname()}:x:1.00", "@", "::"):
        assert not processes.is_dead(text)
        assert not processes.is_alive(text)


def test_the_mark_of_a_file_tells_whether_its_process_is_gone() -> None:
    place = processes.file_mark().rpartition("-")[0]
    assert not processes.is_mark_of_dead(processes.file_mark())
    assert processes.is_mark_of_dead(f"{place}-{UNUSED_PID}")
    assert not processes.is_mark_of_dead(f"another-{UNUSED_PID}")
    assert not processes.is_mark_of_dead("notes")


def test_a_step_of_the_clock_leaves_a_living_process_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system gives start times since the boot; psutil adds the time of the boot, which a step changes."""
    own = processes.identity()
    plain = psutil.Process.create_time
    for seconds in (-86400.0, 3600.0, 1e9):
        monkeypatch.setattr(psutil.Process, "create_time", lambda self, seconds=seconds: plain(self) + seconds)
        assert processes.is_alive(own)
        assert processes.identity() == own
        assert processes.is_dead(own.replace(f":{os.getpid()}:", ":1:"))  # the first process has started before
