"""A search may be killed at any instant, and shared by processes: every setting of its budget counts once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from small_search import SMALL, Small

from farback.experiment import Experiment
from farback.runs.search import history, search, winners
from farback.runs.search.api import checked_search
from farback.stores.memory import Memory
from farback.stores.studies import located

STUDIES = ("small/RNN tanh", "small/memoryless")
DRIVE = """
import sys
from farback.runs.search import search
from farback.stores.memory import Memory
search(sys.argv[1], workers=1, store=Memory())
"""


def longer(steps: int, trials: int) -> str:
    return SMALL.replace("steps: 4", f"steps: {steps}").replace("trials: 4", f"trials: {trials}")


def started(config: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DRIVE, str(config), *arguments]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


def check_whole(config: Path, trials: int) -> None:
    """Every group has exactly its trials; a setting whose process died was tried again with the same parameters."""
    experiment = checked_search(Experiment.load(config))
    table = history(experiment)
    counted = table[table["counted"]]
    assert counted.groupby("group").size().to_dict() == {"RNN tanh": trials, "memoryless": trials}
    assert not counted.duplicated(["group", "slot"]).any()
    assert set(table["state"]) <= {"complete", "failed"}
    assert (counted["state"] == "complete").all()
    assert not counted.duplicated(["group", "keys"]).any()
    for _, failed in table[table["state"] == "failed"].iterrows():
        again = counted[(counted["group"] == failed["group"]) & (counted["slot"] == failed["slot"])].iloc[0]
        assert failed["reason"].endswith("is gone")
        params = [name for name in table.columns if name.startswith("param.")]
        drawn = failed[params].dropna()
        assert drawn.to_dict() == again[drawn.index].to_dict()
    assert len(winners(experiment, table)) == 2


def owners(config: Path) -> set[int]:
    """The processes that have begun a trial, as plain Optuna shows them."""
    uri = located(None, config.parent.parent)
    if not Path(uri.removeprefix("sqlite:///")).exists():
        return set()
    there = set(optuna.get_all_study_names(uri)) & set(STUDIES)
    trials = [trial for name in there for trial in optuna.load_study(study_name=name, storage=uri).trials]
    return {int(trial.user_attrs["owner"].split(":")[1]) for trial in trials if "owner" in trial.user_attrs}


@pytest.mark.slow
def test_processes_share_one_study_and_finish_what_a_killed_one_left(small: Small) -> None:
    config = small(text=longer(steps=30, trials=8)).path
    killed, other = both = [started(config) for _ in range(2)]
    until = time.monotonic() + 240
    while not {process.pid for process in both} <= owners(config):
        assert time.monotonic() < until
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    search(config, workers=1, store=Memory())
    ended(other)
    check_whole(config, 8)


@pytest.mark.slow
def test_kills_at_random_instants_of_two_processes(small: Small) -> None:
    config = small(text=longer(steps=40, trials=10)).path
    instants = random.Random(1)
    for _ in range(6):
        both = [started(config) for _ in range(2)]
        for process in both:
            time.sleep(instants.uniform(1.0, 4.0))
            process.send_signal(signal.SIGKILL)
            process.communicate()
    search(config, workers=1, store=Memory())
    check_whole(config, 10)
