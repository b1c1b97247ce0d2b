"""Ctrl-C ends a run within seconds, also while its store is locked or does not answer."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from some import some

SCRIPT = """
import socket, sqlite3, sys, time, typer, urllib.request
from farback.cli import signals as handling
from farback.cli.signals import SignalHandler
from farback.stores.retries import Retries, StoreFault

class Executor:
    def finish(self):
        pass

def locked():  # SQLite waits in its own code, where Python handles no signal
    holder = sqlite3.connect(sys.argv[2], isolation_level=None)
    holder.execute("begin exclusive")
    sqlite3.connect(sys.argv[2], timeout=600).execute("create table t (a)")

def silent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        urllib.request.urlopen("http://127.0.0.1:%d" % server.getsockname()[1])

def retried():
    raise sqlite3.OperationalError("database is locked")

def lost():
    time.sleep(1)
    raise sqlite3.OperationalError("database or disk is full")

def training():
    handling.STORE_SECONDS, handling.EXIT_SECONDS = 0.5, 0.5
    until = time.monotonic() + 3
    while time.monotonic() < until:
        pass
    print("checkpoints are written", flush=True)

what = sys.argv[1]
signals = SignalHandler()
try:
    with signals.handled(), signals.finishing(Executor()):
        print("ready", flush=True)
        if what == "training":
            training()
        else:
            Retries("here").call({"locked": locked, "silent": silent, "retried": retried, "lost": lost}[what])
    print("not reached")
except typer.Exit as ended:
    sys.exit(ended.exit_code)
"""


def ended(what: str, folder: Path, signals: int) -> tuple[int, float, str]:
    """The exit status, the seconds from the last signal to the end, and the output."""
    command = [sys.executable, "-c", SCRIPT, what, str(folder / "x.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            time.sleep(0.3)
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, time.monotonic() - began, output


@pytest.mark.parametrize(
    ("what", "signals"),
    some(itertools.product(["locked", "silent", "retried"], [1, 2]), lambda at, _: at in (0, 3)),
)
def test_a_run_ends_within_seconds_though_its_store_does_not_answer(what: str, signals: int, tmp_path: Path) -> None:
    status, seconds, output = ended(what, tmp_path, signals)
    assert status == 128 + signal.SIGINT
    assert seconds < 20  # 8 on an idle machine; SQLite would wait for 600, and a server for ever
    assert "not reached" not in output
    assert ("the store does not answer" in output) == (signals == 1)


def test_training_is_not_interrupted_by_the_first_signal(tmp_path: Path) -> None:
    status, _, output = ended("training", tmp_path, 1)
    assert status == 128 + signal.SIGINT
    assert "checkpoints are written" in output
    assert "the store does not answer" not in output


def test_a_store_that_fails_after_the_signal_is_named(tmp_path: Path) -> None:
    status, _, output = ended("lost", tmp_path, 1)
    assert status == 128 + signal.SIGINT
    assert "the store here cannot be used: there is no space left" in output
    assert "Traceback" not in output
