"""A whole sweep on all cores with farback and with the script, each in a new process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
UPDATES = 1000  # as in sweep.yaml
ROUNDS = 3
OURS = "import farback; s = farback.run('configs/sweep.yaml'); assert (s.trained, s.failed) == (48, 0), s"


def sweep(rounds: int = ROUNDS) -> pd.DataFrame:
    """Seconds of both commands, in turns: a row per round and side."""
    rows = []
    for number in range(rounds):
        sides = {"farback": ours, "script": script}
        for side in sorted(sides, reverse=bool(number % 2)):
            with tempfile.TemporaryDirectory() as folder:
                rows.append((number, side, sides[side](Path(folder))))
    return pd.DataFrame(rows, columns=["round", "side", "seconds"])


def ours(folder: Path) -> float:
    """`farback.run` of the sweep: trained, evaluated, and every curve recorded in MLflow."""
    (folder / "configs").mkdir()
    shutil.copy(HERE / "sweep.yaml", folder / "configs" / "sweep.yaml")
    return _seconds([sys.executable, "-c", OURS], folder)


def script(folder: Path) -> float:
    """The script: trained, evaluated, and every curve in a CSV."""
    return _seconds([sys.executable, str(HERE / "script.py"), str(UPDATES), str(folder / "curves.csv")], folder)


def _seconds(command: list[str], folder: Path) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return seconds
