"""SIGINT and SIGTERM: checkpoints are written, runs are closed, the rest is counted; the same command resumes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
from typer import Exit

import farback
from farback.cli.console import Printer
from farback.cli.run import train_with_progress
from farback.cli.signals import SignalHandler
from farback.executors import Serial
from farback.experiment import Experiment
from farback.runs.displays import SweepDisplay
from farback.runs.search import history, search
from farback.runs.search.api import checked_search
from farback.runs.sweep import checked_sweep
from farback.stores.base import Recorder
from farback.stores.locations import default_uri
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow
from open_sweeps import session

BASE = """
name: small
base:
  task: {name: recall, symbols: 2, filler: blank}
  lag: 2
  cell: elman
  hidden: 8
  batch: 8
  steps: 2000
  evaluate_every: 500
  stop: never
  measures: [{name: retention, lags: [1, 3], sequences: 50}]
"""
SWEEP = BASE + "sweep: [{cell: [elman, gru], seed: {range: 2}}]\n"
SEARCH = (
    BASE
    + """
search:
  space: {optimizer.lr: {log: [1.0e-4, 1.0e-1]}}
  objective: skill
  trials: 4
  sampler: random
  report: {seeds: 2}
"""
)
Write = Callable[[str], Path]


# In one process --------------------------------------------------------------------------------------------------


def test_the_first_signal_asks_the_executor_to_finish_and_the_second_interrupts(
    capfd: pytest.CaptureFixture[str],
) -> None:
    signals, executor = SignalHandler(), Serial()
    before = signal.getsignal(signal.SIGTERM)

    def training() -> None:
        with signals.handled(), signals.finishing(executor):
            assert not executor.finishing
            signal.raise_signal(signal.SIGTERM)
            assert executor.finishing
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second signal does not interrupt")

    with pytest.raises(Exit) as ended:
        training()
    assert ended.value.exit_code == 130
    assert "SIGTERM: exiting after checkpoints" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_is_that_of_the_signal(number: int, code: int) -> None:
    def idle() -> None:
        with SignalHandler().handled():
            signal.raise_signal(number)
            pytest.fail("it does not interrupt at once, though nothing trains")

    def training() -> None:
        signals = SignalHandler()
        with signals.handled(), signals.finishing(Serial()):
            signal.raise_signal(number)

    for block in (idle, training):
        with pytest.raises(Exit) as ended:
            block()
        assert ended.value.exit_code == code


def test_a_signal_during_garbage_collection_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    class Thing:
        """An object that is collected: Python drops exceptions in its finalizer."""

        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def idle() -> None:
        with SignalHandler().handled():
            Thing()
            for _ in range(1000):
                time.sleep(0.01)
            pytest.fail("it does not interrupt")

    before = sys.unraisablehook
    with pytest.raises(Exit) as ended:
        idle()
    assert ended.value.exit_code == 130
    assert not capfd.readouterr().err
    assert sys.unraisablehook is before


def test_without_a_signal_nothing_is_interrupted() -> None:
    signals = SignalHandler()
    with signals.handled(), signals.finishing(Serial()):
        pass
    assert signals.number is None


# Whole commands --------------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A config in its own project."""

    def written(text: str) -> Path:
        (tmp_path / "configs").mkdir(exist_ok=True)
        (tmp_path / "configs" / "small.yaml").write_text(text)
        return tmp_path / "configs" / "small.yaml"

    return written


def started(path: Path, command: str, workers: int) -> subprocess.Popen[str]:
    options = ["--workers", str(workers), "--checkpoint-seconds", "0.1"]
    return subprocess.Popen(
        [sys.executable, "-m", "farback.cli", command, "configs/small.yaml", *options],
        cwd=path.parent.parent,
        env={name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives it
    )


def files(path: Path) -> dict[Path, int]:
    """The checkpoints, and when they were written."""
    found = {}
    for file in (path.parent.parent / "results" / "store" / "checkpoints").rglob("*.safetensors"):
        try:
            found[file] = file.stat().st_mtime_ns
        except FileNotFoundError:  # its trial is done, just now
            continue
    return found


def wait_for_a_checkpoint(path: Path, process: subprocess.Popen[str], before: dict[Path, int]) -> None:
    """Wait until one is written that was not there."""
    deadline = time.monotonic() + 240  # on a machine that others use: mlflow alone takes ten seconds to import
    while not set(files(path).items()) - set(before.items()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(path: Path) -> list[str]:
    """Runs that are RUNNING in the store."""
    with MLflow(default_uri(path.parent.parent)) as store:
        experiment = store.client.mlflow.get_experiment_by_name("small")
        found = store.client.mlflow.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
        return [run.info.run_id for run in found]


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "group"), [(1, False), (2, True), (2, False)])
def test_a_run_that_is_stopped_counts_the_rest_and_resumes(write: Write, workers: int, group: bool) -> None:
    path = write(SWEEP)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        before = files(path)
        process = started(path, "run", workers)
        wait_for_a_checkpoint(path, process, before)
        below = psutil.Process(process.pid).children(recursive=True)
        (os.killpg if group else os.kill)(process.pid, number)
        output, errors = process.communicate(timeout=240)
        assert process.returncode == code, errors
        line = r"(\d+) recorded already[^$]*interrupted: (\d+) trials? w\w+ recorded, (\d+) \w+ left, (\d+) of these"
        counts = re.search(line, output)
        assert counts, output
        reused, recorded, left, kept = map(int, counts.groups())
        assert reused + recorded + left == 4
        assert kept == len(files(path))
        assert kept > 0 or left == 0
        assert output.splitlines()[-1].startswith("farback run configs/small.yaml --workers")
        assert signal.Signals(number).name in errors
        assert "Traceback" not in errors
        psutil.wait_procs(below, timeout=10)
        assert not any(child.is_running() for child in below)
        assert running(path) == []
    farback.run(path, workers=1, store=default_uri(path.parent.parent))
    assert files(path) == {}
    whole = Memory()
    farback.run(path, workers=1, store=whole)
    with MLflow(default_uri(path.parent.parent)) as store:
        pd.testing.assert_frame_equal(store.frame("small"), whole.frame("small"), check_exact=True)


@pytest.mark.slow
def test_a_search_that_is_stopped_resumes(write: Write) -> None:
    path = write(SEARCH)
    process = started(path, "search", 2)
    wait_for_a_checkpoint(path, process, {})
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 143, errors
    counts = re.search(r"interrupted: (\d) of 4 trials are done, (\d+) networks have a checkpoint; to resume:", output)
    assert counts, output
    assert int(counts[2]) == len(files(path))
    assert "Traceback" not in errors
    assert running(path) == []
    search(path, workers=1, store=default_uri(path.parent.parent))
    assert files(path) == {}
    table = history(checked_search(Experiment.load(path)))
    assert table[table["counted"]].groupby("state").size().to_dict() == {"complete": 4}


def test_the_record_is_closed_with_retries_after_the_first_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an error of the store ends it without retries."""
    abandoned: list[Recorder] = []
    signals_left = [signal.SIGINT]
    monkeypatch.setattr(Recorder, "abandon", lambda recorder: abandoned.append(recorder))
    monkeypatch.setattr(SweepDisplay, "add", lambda *_: signals_left and signal.raise_signal(signals_left.pop()))
    (tmp_path / "small.yaml").write_text(BASE.replace("steps: 2000", "steps: 1").replace("every: 500", "every: 1"))
    sweep = checked_sweep(Experiment.load(tmp_path / "small.yaml"))
    signals = SignalHandler()
    with pytest.raises(Exit), signals.handled():
        train_with_progress(session(Memory()), sweep, sweep.trials(), signals, Printer(False))
    assert not abandoned
