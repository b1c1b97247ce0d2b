"""`farback run` on a Dask cluster that loses workers or its scheduler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from instants import Instants
from projects import Command, Project, finish, wait_for
from store_contents import StoreContent, check

pytest.importorskip("distributed", reason="Dask is not installed: uv pip install 'farback[dask]'")
from executors.cluster import Cluster

pytestmark = pytest.mark.faults
Count = Callable[[str, str], None]


def run_on(cluster: Cluster, project: Project) -> Command:
    words = ("--executor", "dask", "--address", cluster.address, "--checkpoint-seconds", "0.1")
    return project.start("run", "configs/small.yaml", *words)


@pytest.mark.parametrize("case", range(2), ids=lambda case: f"Dask worker-{case}")
def test_a_run_on_a_cluster_survives_the_death_of_its_workers(
    case: int, tmp_path: Path, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    with Cluster(tmp_path, workers=2) as cluster:
        command = run_on(cluster, project)
        for _ in range(3):
            phase = instants.reach(command, phase="training", share=0.4)
            if phase:
                victim = cluster.workers[-1] if instants.rng.random() < 0.5 else cluster.workers[-2]
                victim.kill()
                victim.wait()
                count("Dask worker", phase)
                cluster.start_worker()
        code = command.wait()
        assert code in (0, 1), command.log
        assert "Traceback" not in command.errors, command.log
    finish(project)
    check(project, reference)


@pytest.mark.parametrize("case", range(2), ids=lambda case: f"Dask scheduler-{case}")
def test_a_run_ends_with_an_error_when_its_scheduler_dies_and_resumes_elsewhere(
    case: int, tmp_path: Path, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    with Cluster(tmp_path, workers=2) as cluster:
        command = run_on(cluster, project)
        phase = instants.reach(command, phase="training", share=0.6)
        cluster.scheduler.kill()
        count("Dask scheduler", phase)
        code = command.wait()
        assert code in ((1,) if phase == "training" else (0, 1)), command.log
        assert "Traceback" not in command.errors, command.log
        if code:
            assert cluster.address in command.errors, command.log
    with Cluster(tmp_path, workers=2) as cluster:  # a new cluster
        if case:
            command = run_on(cluster, project)
            assert command.wait() == 0, command.log
        else:
            finish(project)  # or no cluster
    wait_for(lambda: not project.checkpoints, 5)
    check(project, reference)
