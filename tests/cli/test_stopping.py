"""SIGINT and SIGTERM: what trains is checkpointed, runs are closed, what is left is said; the same command goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

import farback
from farback.experiment import Experiment
from farback.stores.memory import Memory
from farback.stores.opening import open_store

SMALL = """
name: small
base:
  task: {name: recall, symbols: 2, filler: blank}
  lag: 2
  hidden: 8
  batch: 8
  steps: 3000
  evaluate_every: 500
  stop: never
  measures: [{name: retention, lags: [1, 3], sequences: 50}]
sweep:
  - cell: [{name: elman}, {name: gru}]
    seed: {range: 2}
"""
SEARCH = (
    SMALL[: SMALL.index("sweep:")]
    + """
search:
  space: {optimizer.lr: {log: [1.0e-4, 1.0e-1]}}
  objective: skill
  trials: 4
  search_seeds: 2
  report_seeds: 2
  sampler: random
"""
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "small.yaml").write_text(SMALL)
    return tmp_path / "configs" / "small.yaml"


def started(path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "farback.cli", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(
        command,
        cwd=path.parent.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives it
    )


def checkpoints(path: Path) -> set[str]:
    folder = path.parent.parent / "results" / "store" / "checkpoints" / "small"
    return {file.stem for file in folder.glob("*.safetensors")} if folder.exists() else set()


def trained_for_a_while(path: Path, process: subprocess.Popen[str], more_than: set[str]) -> None:
    """Wait for a checkpoint that was not there."""
    deadline = time.monotonic() + 90
    while not checkpoints(path) - more_than:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("group", [False, True], ids=["the driver", "the process group"])
def test_a_run_that_is_stopped_says_what_is_left_and_the_same_command_goes_on(
    path: Path, workers: int, group: bool
) -> None:
    arguments = ["run", "configs/small.yaml", "--workers", str(workers), "--checkpoint-seconds", "0.1"]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        had = checkpoints(path)
        modified = {file: file.stat().st_mtime_ns for file in path.parent.parent.rglob("*.safetensors")}
        process = started(path, *arguments)
        wait_for_change(path, process, modified)
        below = children(process)
        (os.killpg if group else os.kill)(process.pid, number)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == code, errors
        said = re.search(r"interrupted: (\d+) trials were recorded, (\d+) are left, (\d+) of them have", output)
        assert said, output
        recorded, left, kept = map(int, said.groups())
        assert left - kept + kept + recorded + reused(output) == 4
        assert kept == len(checkpoints(path)) > 0 or had
        assert "to go on:" in output
        assert "--workers" in output.splitlines()[-1]
        assert "Traceback" not in errors
        assert signal.Signals(number).name in errors
        psutil.wait_procs(below, timeout=10)
        assert not any(child.is_running() for child in below)
        assert not running(path)
    process = started(path, *arguments)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "from checkpoints" in output
    assert not checkpoints(path)
    check_scores(path)


def wait_for_change(path: Path, process: subprocess.Popen[str], before: dict[Path, int]) -> None:
    """Wait for a checkpoint to be written."""
    deadline = time.monotonic() + 90
    while True:
        for file in path.parent.parent.rglob("*.safetensors"):
            try:
                if file.stat().st_mtime_ns != before.get(file):
                    return
            except FileNotFoundError:
                continue
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def reused(output: str) -> int:
    found = re.search(r"(\d+) recorded already", output)
    assert found
    return int(found[1])


def running(path: Path) -> list[str]:
    """Runs that the store takes for running."""
    with open_store(None, path.parent.parent) as store:
        experiment = store.client.get_experiment_by_name("small")
        found = store.client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
        return [run.info.run_id for run in found]


def check_scores(path: Path) -> None:
    """As if nobody had stopped it."""
    whole = Memory()
    farback.run(Experiment.load(path), workers=1, store=whole)
    with open_store(None, path.parent.parent) as store:
        found = store.frame("small")
    pd.testing.assert_frame_equal(found, whole.frame("small"), check_exact=True)


@pytest.mark.slow
def test_a_second_signal_ends_a_run_at_once(path: Path) -> None:
    path.write_text(
        SMALL.replace("steps: 3000", "steps: 3000\n  batch: 8").replace("  batch: 8\n  batch: 8", "  batch: 8")
    )
    process = started(path, "run", "configs/small.yaml", "--workers", "1", "--checkpoint-seconds", "0.1")
    wait_for_change(path, process, {})
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_search_that_is_stopped_goes_on(path: Path) -> None:
    path.write_text(SEARCH)
    arguments = ["search", "configs/small.yaml", "--workers", "2", "--checkpoint-seconds", "0.1"]
    process = started(path, *arguments)
    wait_for_change(path, process, {})
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert re.search(r"interrupted: \d of 4 trials are done, [1-4] trainings have a checkpoint; to go on:", output)
    assert "Traceback" not in errors
    assert not running(path)
    process = started(path, *arguments)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert not checkpoints(path)
