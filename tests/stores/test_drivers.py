"""Several drivers at once, each a process of its own, on a database that none of them has seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy

import servers
from farback import Experiment, run
from farback.stores import database, locations
from farback.stores.leases import HEARTBEAT, LEASE
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow
from some import one_in, some

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
OWN, SHARED = ("one", "two", "three"), ("one", "one", "one")  # the configs that three drivers are started with
DRIVE = """
import sys, farback
print(farback.run(sys.argv[1], workers=1, store=sys.argv[2]).trained)
"""


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return locations.SQLITE + str(tmp_path / "store" / "mlflow.db")
    return str(request.getfixturevalue("postgres_uri"))


def drive(folder: Path, uri: str, names: tuple[str, ...]) -> list[Path]:
    """Run drivers at once; the configs, every trial of which a driver reports to have trained.

    Two drivers may rarely take a trial at the same moment and both train it.
    """
    configs = [folder / "configs" / f"{name}.yaml" for name in names]
    configs[0].parent.mkdir()
    for path in configs:
        path.write_text(CONFIG.format(name=path.stem))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    crowd = [
        subprocess.Popen([sys.executable, "-c", DRIVE, path, uri], cwd=folder, env=environment, **pipes)
        for path in configs
    ]
    trained: Counter[Path] = Counter()
    for path, process in zip(configs, crowd, strict=True):
        counted, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors.decode()
        trained[path] += int(counted)
    for path in configs:
        wanted, twice = len(Experiment.load(path).trials()), names.count(path.stem) - 1
        assert wanted <= trained[path] <= wanted * (1 + twice)
    return sorted(set(configs))


def check(configs: list[Path], uri: str) -> None:
    """Every trial is recorded once, whole, and as a single driver records it."""
    with MLflow(uri, project=configs[0].parent.parent) as store:
        for path in configs:
            alone = Memory()
            run(path, workers=1, store=alone)
            pd.testing.assert_frame_equal(store.frame(path.stem), alone.frame(path.stem), check_exact=True)
            experiment = store.client.mlflow.get_experiment_by_name(path.stem)
            runs = list(store.client.search(experiment.experiment_id, "tags.kind = 'trial'"))
            assert Counter(run.data.tags["farback.key"] for run in runs) == Counter(
                trial.key for trial in Experiment.load(path).trials()
            )
            assert {run.info.status for run in runs} == {"FINISHED"}
            assert not [name for name in experiment.tags if name.startswith((HEARTBEAT, LEASE))]


@pytest.mark.slow
@pytest.mark.parametrize("names", [OWN, SHARED], ids=["own", "shared"])
@pytest.mark.parametrize("empty", ["sqlite", "postgres"], indirect=True)
def test_drivers_that_start_on_an_empty_database_record_every_trial_once(
    empty: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    check(drive(tmp_path, empty, names), empty)


@pytest.mark.slow
@pytest.mark.parametrize("names", [OWN, SHARED], ids=["own", "shared"])
def test_drivers_share_a_server_in_front_of_postgresql(
    postgres: servers.Postgres, names: tuple[str, ...], tmp_path: Path
) -> None:
    with servers.mlflow_server(postgres.make(f"behind {tmp_path.name}"), tmp_path) as address:
        check(drive(tmp_path, address, names), address)


@pytest.mark.parametrize("where", some(["uri", "on_postgres", "on_server"], one_in(3)))
def test_drivers_may_begin_a_new_experiment_at_the_same_moment(where: str, request: pytest.FixtureRequest) -> None:
    """The second one looked just before the first one created it."""
    uri = request.getfixturevalue(where)
    with MLflow(uri) as one, MLflow(uri) as two, pytest.MonkeyPatch.context() as patch:
        patch.setattr(two.client.mlflow, "get_experiment_by_name", lambda name: None, raising=False)
        with one.begin("first") as first, two.begin("first") as second:
            assert second.experiment_id == first.experiment_id


@pytest.mark.parametrize("where", some(["uri", "on_postgres", "on_server"], one_in(3)))
def test_drivers_may_write_one_tag_at_the_same_moment(where: str, request: pytest.FixtureRequest) -> None:
    uri = request.getfixturevalue(where)
    with MLflow(uri) as store, store.begin("first") as recorder:
        client, names = store.client.mlflow, [f"tag {number}" for number in range(20)]

        def write(text: str) -> None:
            for name in names:
                client.set_experiment_tag(recorder.experiment_id, name, text)

        with ThreadPoolExecutor(4) as crowd:
            list(crowd.map(write, "abcd"))
        tags = client.get_experiment_by_name("first").tags
        assert {tags[name] for name in names} <= set("abcd")


@pytest.mark.slow
def test_a_driver_waits_while_another_creates_the_tables(postgres_uri: str) -> None:
    served = database.engine(postgres_uri)

    def carry_out(text: str) -> None:
        with served.begin() as connection:
            connection.execute(sqlalchemy.text(text))

    with ThreadPoolExecutor(1) as other:
        with database.advisory(served, database.PREPARING, database.PREPARING_SECONDS):
            carry_out("create table experiments (half int)")
            opened = other.submit(MLflow, postgres_uri)
            with pytest.raises(TimeoutError):
                opened.result(1)
            carry_out("drop table experiments")
        opened.result(120).close()
