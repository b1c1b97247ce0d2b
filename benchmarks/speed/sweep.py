"""A whole sweep on all cores, and the time to the answer, with farback and with the script, each in a new process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

import farback
from farback import tables
from farback.experiment import Experiment, Sweep

HERE = Path(__file__).parent
UPDATES = 1000  # as in sweep.yaml
ROUNDS = 3
OURS = "import farback; s = farback.run('configs/{}'); assert s.trained >= 48 and not s.failed, s"
GRID = (5, 10, 20, 40, 80, 160)  # octaves, over the lags of answer.yaml
ASKED, TIMED = 10, 2  # seeds of the script's grid, and how many of them are trained
STARTS = 2  # initialisations of each of the script's four networks; its time does not depend on them


def sweep(rounds: int = ROUNDS) -> pd.DataFrame:
    """Seconds of both commands, in turns: a row per round and side."""
    rows = []
    for number in range(rounds):
        sides: list[tuple[str, Callable[[Path], float]]] = [("farback", ours), ("script", script)]
        for side, run in sides[:: -1 if number % 2 else 1]:
            with tempfile.TemporaryDirectory() as folder:
                rows.append((number, side, run(Path(folder))))
    return pd.DataFrame(rows, columns=["round", "side", "seconds"])


def answer() -> pd.DataFrame:
    """Seconds until the horizons of eight networks are known: adaptive lags, and a grid of octaves with ten seeds.

    The script trains four networks with two seeds. Each training has the same number of updates, so the time of
    eight networks with ten seeds is ten times as long, without the time that the script needs to start.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = ours(Path(folder), "answer.yaml")
        config = Path(folder) / "configs" / "answer.yaml"
        trainings = tables.trainability(farback.frame(config))["trainings"]
        assert trainings.max() < limit(config), "a search ended at its limit: its horizon is not known to 0.3 octaves"
    times = {}
    for updates in (0, UPDATES):
        with tempfile.TemporaryDirectory() as folder:
            times[updates] = script(Path(folder), updates, ",".join(map(str, GRID)), str(TIMED))
    whole = times[0] + STARTS * ASKED / TIMED * (times[UPDATES] - times[0])
    return pd.DataFrame([(0, "farback", found), (0, "script", whole)], columns=["round", "side", "seconds"])


def limit(config: Path) -> int:
    """The most trainings of a network in a sweep with adaptive lags."""
    sweep = Experiment.load(config)
    assert isinstance(sweep, Sweep)
    (grid,) = sweep.grids
    assert grid.adaptive is not None
    return grid.adaptive.limit


def ours(folder: Path, config: str = "sweep.yaml") -> float:
    """`farback.run` of a config: trained, evaluated, and every curve recorded in MLflow."""
    (folder / "configs").mkdir()
    shutil.copy(HERE / config, folder / "configs" / config)
    return _seconds([sys.executable, "-c", OURS.format(config)], folder)


def script(folder: Path, updates: int = UPDATES, *more: str) -> float:
    """The script: trained, evaluated, and every curve in a CSV."""
    return _seconds([sys.executable, str(HERE / "script.py"), str(updates), str(folder / "curves.csv"), *more], folder)


def _seconds(command: list[str], folder: Path) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return seconds
