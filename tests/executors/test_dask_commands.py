"""The real commands on a real cluster: a search, a driver that is killed, and resuming without the cluster."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cluster import Cluster
from distributed import Client

from faults.projects import Command, Project, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dask commands")]

BASE = """
name: small
question: Are the results the same, wherever they are trained and whichever process dies?
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
WORDS = {"run": SWEEP, "search": SEARCH}
BUSY = lambda dask_worker: dask_worker.state.executing_count  # noqa: E731 - a def would be looked for by name there


class Kept(NamedTuple):
    """What two stores must both hold.

    Attributes:
        scores: the bytes of each trial's scores, by key.
        tried: of a search: the parameters and the value of each slot.
    """

    scores: dict[str, bytes]
    tried: list[tuple[object, ...]]


def kept(project: Project) -> Kept:
    """Read it without farback, MLflow and Optuna.

    Raises:
        AssertionError: a trial has two runs that count, or a run or a study's trial says that it still runs.
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
        return Kept(scores, [])
    assert project.query("select count(*) from trials where state = 'RUNNING'", name="optuna.db") == [(0,)]
    tried = project.query(
        "select cast(s.value_json as int), p.param_name, p.param_value, v.value from trials t"
        " join trial_user_attributes s on s.trial_id = t.trial_id and s.key = 'slot'"
        " join trial_params p on p.trial_id = t.trial_id join trial_values v on v.trial_id = t.trial_id"
        " where t.state = 'COMPLETE' order by 1, 2",
        name="optuna.db",
    )
    return Kept(scores, tried)


def started(project: Project, verb: str, *where: str) -> Command:
    return project.start(verb, "configs/small.yaml", "--checkpoint-seconds", "0.05", *where)


def on(cluster: Cluster) -> tuple[str, ...]:
    return ("--executor", "dask", "--address", cluster.address)


def ended(command: Command, code: int = 0) -> None:
    assert command.wait() == code, command.said
    assert "Traceback" not in command.errors, command.said


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kept]:
    """What one process leaves that nothing happened to, by command."""
    found = {}
    for verb, config in WORDS.items():
        project = Project(tmp_path_factory.mktemp(verb), config)
        (project.root / "experiments" / "small.py").unlink()  # it is another sweep's
        ended(started(project, verb, "--executor", "serial"))
        found[verb] = kept(project)
    assert len(found["run"].scores) == 6
    assert len(found["search"].tried) == 4
    return found


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """Of the command that the test is about."""
    made = Project(tmp_path / "project", WORDS[request.getfixturevalue("verb")])
    (made.root / "experiments" / "small.py").unlink()
    yield made
    made.end()


@pytest.mark.parametrize("verb", ["run", "search"])
def test_a_command_on_a_cluster_leaves_what_one_process_leaves(
    verb: str, project: Project, cluster: Cluster, alone: dict[str, Kept]
) -> None:
    ended(started(project, verb, *on(cluster)))
    assert kept(project) == alone[verb]


@pytest.mark.parametrize("verb", ["run", "search"])
def test_a_driver_killed_while_workers_train_resumes_and_leaves_the_same(
    verb: str, project: Project, cluster: Cluster, alone: dict[str, Kept]
) -> None:
    """Twice; nobody tells the workers, and they stop: a cluster is soon free for others."""
    for _ in range(2):
        command = started(project, verb, *on(cluster))
        before = {path.name: path.stat().st_mtime_ns for path in project.checkpoints}
        wait_for(lambda c=command, b=before: fresh(project, b) or not c.alive)  # type: ignore[misc]
        assert command.kill(), command.said
        with Client(cluster.address, set_as_default=False) as client:
            wait_for(lambda c=client: not any(c.run(BUSY).values()), 60)  # type: ignore[misc]
    assert project.checkpoints
    last = started(project, verb, *on(cluster))
    ended(last)
    if verb == "run":
        assert re.search(r"\d trials to train, \d of them from checkpoints", last.output), last.said
    assert kept(project) == alone[verb]
    wait_for(lambda: not project.checkpoints, 5)


@pytest.mark.parametrize("verb", ["run", "search"])
def test_after_the_scheduler_has_died_a_pool_resumes_and_leaves_the_same(
    verb: str, project: Project, tmp_path: Path, alone: dict[str, Kept]
) -> None:
    with Cluster(tmp_path) as cluster:
        command = started(project, verb, *on(cluster))
        wait_for(lambda: fresh(project, {}) or not command.alive)
        cluster.scheduler.send_signal(signal.SIGKILL)
        ended(command, code=1)
    assert re.search(rf"lost the Dask scheduler at {cluster.address} .*run the same command again", command.errors)
    assert project.checkpoints
    ended(started(project, verb, "--executor", "pool", "--workers", "2"))
    assert kept(project) == alone[verb]
    wait_for(lambda: not project.checkpoints, 5)


def fresh(project: Project, before: dict[str, int]) -> bool:
    """Whether a checkpoint is there that was not, or was written again."""
    return any(before.get(path.name) != path.stat().st_mtime_ns for path in project.checkpoints)
