"""Several drivers at once, each a process of its own, on a database that none of them has seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import servers
from farback import Experiment, run
from farback.stores import locations
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow

CONFIG = """\
name: {name}
base:
  task: {{name: recall, symbols: 2}}
  hidden: 4
  batch: 4
  steps: 6
  evaluate_every: 2
  measures: [{{name: retention, lags: [1, 2], sequences: 40}}]
sweep:
  - cell: [elman, gru]
    lag: [2, 3]
    seed: {{range: 2}}
"""
NAMES = ("one", "two", "three")
DRIVE = "import sys, farback; farback.run(sys.argv[1], workers=1, store=sys.argv[2])"


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return locations.SQLITE + str(tmp_path / "store" / "mlflow.db")
    return str(request.getfixturevalue("postgres_uri"))


def driven(folder: Path, uri: str) -> list[Path]:
    """The configs that drivers ran at once, each its own."""
    configs = [folder / "configs" / f"{name}.yaml" for name in NAMES]
    configs[0].parent.mkdir()
    for path in configs:
        path.write_text(CONFIG.format(name=path.stem))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    crowd = [
        subprocess.Popen([sys.executable, "-c", DRIVE, path, uri], cwd=folder, env=environment, stderr=subprocess.PIPE)
        for path in configs
    ]
    for process in crowd:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said.decode()
    return configs


def check(configs: list[Path], uri: str) -> None:
    """Every trial is there once, whole, and as it is without a database."""
    with MLflow(uri) as store:
        for path in configs:
            alone = Memory()
            run(path, workers=1, store=alone)
            pd.testing.assert_frame_equal(store.frame(path.stem), alone.frame(path.stem), check_exact=True)
            experiment = store.client.get_experiment_by_name(path.stem)
            runs = store.client.search_runs([experiment.experiment_id], "tags.kind = 'trial'")
            assert Counter(run.data.tags["farback.key"] for run in runs) == Counter(
                trial.key for trial in Experiment.load(path).trials()
            )
            assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.parametrize("empty", ["sqlite", "postgres"], indirect=True)
def test_drivers_that_meet_on_an_empty_database_each_record_everything(empty: str, tmp_path: Path) -> None:
    check(driven(tmp_path, empty), empty)


@pytest.mark.slow
def test_drivers_share_a_server_in_front_of_postgresql(postgres: servers.Postgres, tmp_path: Path) -> None:
    with servers.mlflow_server(postgres.make("behind a server"), tmp_path) as address:
        check(driven(tmp_path, address), address)
