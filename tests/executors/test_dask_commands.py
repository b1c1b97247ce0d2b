"""`farback run` and `farback search` on a Dask cluster: killed drivers, a dead scheduler, and resuming with a pool."""

from __future__ import annotations

import gc
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cluster import Cluster
from distributed import Client

from faults.projects import Command, Project, wait_for

pytestmark = pytest.mark.slow

BASE = """
name: small
question: Do results depend on the executor, or on processes that die?
base:
  task: {name: recall, symbols: 2, filler: noise}
  cell: gru
  lag: 20
  hidden: 8
  batch: 8
  steps: 1500
  evaluate_every: 50
  stop: never
  measures: [{name: retention, lags: [1, 3], sequences: 50}]
"""
SWEEP = BASE + "sweep: [{depth: [1, 2], seed: {range: 3}}]\n"
SEARCH = BASE.replace("1500", "400") + (
    "search: {space: {optimizer.lr: {log: [1.0e-3, 1.0e-1]}}, objective: skill, trials: 4, seeds: 2,"
    " sampler: random, report: {seeds: 2}}\n"
)
CONFIGS = {"run": SWEEP, "search": SEARCH}
BUSY = lambda dask_worker: dask_worker.state.executing_count  # noqa: E731 - a worker cannot import a function of this module


class Content(NamedTuple):
    """The content of a store, for comparison.

    Attributes:
        scores: the bytes of each trial's scores, by key.
        tried: if it is a search, the parameters and the value of each slot.
    """

    scores: dict[str, bytes]
    tried: list[tuple[object, ...]]


def content(project: Project) -> Content:
    """Read the databases without farback, MLflow and Optuna.

    Raises:
        AssertionError: a trial has two runs that count, or a run or a trial of a study is marked as running.
    """
    runs = project.query(
        "select k.value, r.run_uuid, r.status from runs r join tags k on k.run_uuid = r.run_uuid"
        " join tags n on n.run_uuid = r.run_uuid where k.key = 'farback.key' and n.key = 'kind' and n.value = 'trial'"
    )
    assert {status for _, _, status in runs} == {"FINISHED"}
    assert len({key for key, _, _ in runs}) == len(runs)
    scores = {
        str(key): next(project.store.glob(f"artifacts/*/{run}/artifacts/scores.csv")).read_bytes()
        for key, run, _ in runs
    }
    if not (project.store / "optuna.db").exists():
        return Content(scores, [])
    assert project.query("select count(*) from trials where state = 'RUNNING'", name="optuna.db") == [(0,)]
    tried = project.query(
        "select cast(s.value_json as int), p.param_name, p.param_value, v.value from trials t"
        " join trial_user_attributes s on s.trial_id = t.trial_id and s.key = 'slot'"
        " join trial_params p on p.trial_id = t.trial_id join trial_values v on v.trial_id = t.trial_id"
        " where t.state = 'COMPLETE' order by 1, 2",
        name="optuna.db",
    )
    return Content(scores, tried)


def started(project: Project, verb: str, *where: str) -> Command:
    return project.start(verb, "configs/small.yaml", "--checkpoint-seconds", "0.05", *where)


def on(cluster: Cluster) -> tuple[str, ...]:
    return ("--executor", "dask", "--address", cluster.address)


def ended(command: Command, code: int = 0) -> None:
    assert command.wait() == code, command.log
    assert "Traceback" not in command.errors, command.log


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Content]:
    """The store of an undisturbed command in one process, by command."""
    contents = {}
    for verb, config in CONFIGS.items():
        project = Project(tmp_path_factory.mktemp(verb), config)
        (project.root / "experiments" / "small.py").unlink()  # it belongs to another sweep
        ended(started(project, verb, "--executor", "serial"))
        contents[verb] = content(project)
    assert len(contents["run"].scores) == 6
    assert len(contents["search"].tried) == 4
    return contents


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project with the config of the tested command."""
    made = Project(tmp_path / "project", CONFIGS[request.getfixturevalue("verb")])
    (made.root / "experiments" / "small.py").unlink()
    yield made
    made.end()


@pytest.mark.parametrize("verb", ["run", "search"])
def test_a_command_on_a_cluster_records_the_same_as_one_process(
    verb: str, project: Project, cluster: Cluster, alone: dict[str, Content]
) -> None:
    ended(started(project, verb, *on(cluster)))
    assert content(project) == alone[verb]


@pytest.mark.parametrize("verb", ["run", "search"])
def test_a_command_resumes_after_its_driver_was_killed(
    verb: str, project: Project, cluster: Cluster, alone: dict[str, Content]
) -> None:
    """Twice. The workers stop training by themselves."""
    for _ in range(2):
        command = started(project, verb, *on(cluster))
        before = {path.name: path.stat().st_mtime_ns for path in project.checkpoints}
        wait_for(lambda c=command, b=before: fresh(project, b) or not c.alive)  # type: ignore[misc]
        assert command.kill(), command.log
        gc.collect()  # a Client that is collected while the next one starts waits for its lock for ever
        with Client(cluster.address, set_as_default=False) as client:
            wait_for(lambda c=client: not any(c.run(BUSY).values()), 60)  # type: ignore[misc]
    assert project.checkpoints
    last = started(project, verb, *on(cluster))
    ended(last)
    if verb == "run":
        assert re.search(r"\d trials to train, \d of them from checkpoints", last.output), last.log
    assert content(project) == alone[verb]
    wait_for(lambda: not project.checkpoints, 5)


@pytest.mark.parametrize("verb", ["run", "search"])
def test_a_pool_resumes_a_command_after_the_scheduler_died(
    verb: str, project: Project, tmp_path: Path, alone: dict[str, Content]
) -> None:
    with Cluster(tmp_path) as cluster:
        command = started(project, verb, *on(cluster))
        wait_for(lambda: fresh(project, {}) or not command.alive)
        cluster.scheduler.send_signal(signal.SIGKILL)
        ended(command, code=1)
    assert re.search(rf"lost the Dask scheduler at {cluster.address} .*run the same command again", command.errors)
    assert project.checkpoints
    ended(started(project, verb, "--executor", "pool", "--workers", "2"))
    assert content(project) == alone[verb]
    wait_for(lambda: not project.checkpoints, 5)


def fresh(project: Project, before: dict[str, int]) -> bool:
    """Whether a checkpoint was written that is not in `before`."""
    return any(before.get(path.name) != path.stat().st_mtime_ns for path in project.checkpoints)
