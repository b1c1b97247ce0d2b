"""A search that is killed many times ends with the same trials as an undisturbed one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from instants import Instants
from projects import SWEEP, Command, Project, wait_for
from store_contents import assert_whole

pytestmark = pytest.mark.faults
Count = Callable[[str, str], None]
SEARCH = (
    SWEEP[: SWEEP.index("sweep:")].replace("  steps:", "  lag: 3\n  cell: gru\n  steps:")
    + """
search:
  space: {optimizer.lr: {log: [1.0e-3, 1.0e-1]}}
  objective: skill
  trials: 5
  seeds: 2
  report: {seeds: 2}
  sampler: random
"""
)
BUDGETS = "budgets.csv"  # has minutes, which differ between runs
Content = tuple[list[tuple[object, ...]], dict[str, bytes], dict[str, bytes]]


def search(project: Project, workers: int) -> Command:
    return project.start("search", "small", "--workers", str(workers), "--checkpoint-seconds", "0.1")


def content(project: Project) -> Content:
    """Parameters and value of each trial of the study, scores of each training, and the page without times."""
    running = project.query("select count(*) from trials where state = 'RUNNING'", name="optuna.db")
    assert running == [(0,)]
    slots = project.query(
        "select cast(s.value_json as int), p.param_name, p.param_value, v.value from trials t"
        " join trial_user_attributes s on s.trial_id = t.trial_id and s.key = 'slot'"
        " left join trial_params p on p.trial_id = t.trial_id left join trial_values v on v.trial_id = t.trial_id"
        " where t.state in ('COMPLETE', 'PRUNED') order by 1, 2",
        name="optuna.db",
    )
    counted = project.query(
        "select k.value, r.run_uuid from runs r join tags k on k.run_uuid = r.run_uuid and k.key = 'farback.key'"
        " join tags n on n.run_uuid = r.run_uuid and n.key = 'kind' where r.status = 'FINISHED' and n.value = 'trial'"
    )
    assert len({key for key, _ in counted}) == len(counted), counted
    scores = {
        str(key): next(project.store.glob(f"artifacts/*/{run}/artifacts/scores.csv")).read_bytes()
        for key, run in counted
    }
    page = {path.name: path.read_bytes() for path in (project.results / "small").iterdir() if path.name != BUDGETS}
    budgets = rb"\n## The budget of each group, and how much of it was used\n.*?(?=\n## |$)"
    page["report.md"] = re.sub(budgets, b"", page["report.md"], flags=re.DOTALL)
    page["report.html"] = re.sub(rb'<section id="budgets">.*?</section>', b"", page["report.html"], flags=re.DOTALL)
    return slots, scores, page


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Content:
    project = project_of(tmp_path_factory.mktemp("search") / "undisturbed")
    command = search(project, 1)
    assert command.wait() == 0, command.log
    return content(project)


def project_of(root: Path) -> Project:
    project = Project(root, SEARCH)
    (root / "experiments" / "small.py").unlink()  # it belongs to a sweep
    return project


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"search-{case}")
def test_a_killed_search_ends_with_the_same_trials(
    case: int, tmp_path: Path, undisturbed: Content, instants: Instants, count: Count
) -> None:
    project = project_of(tmp_path / "project")
    whole = instants.pace.start + 3 * instants.pace.training
    try:
        made = 0
        while made < 6 and len(project.commands) < 12:
            command = search(project, 1 + case % 2)
            wait_for(lambda c=command: project.store.exists() or not c.alive)  # type: ignore[misc]
            early = instants.rng.random() < 0.3  # before it has taken a trial
            instants.pause(command, instants.rng.uniform(0, instants.pace.start if early else whole))
            if command.kill_all():
                count("search", "start" if early else "training")
                made += 1
        command = search(project, 1 + case % 2)
        assert command.wait() == 0, command.log
        assert "Traceback" not in command.errors
        slots, scores, page = content(project)
        assert slots == undisturbed[0]
        assert scores == undisturbed[1]
        assert page == undisturbed[2]
        assert_whole(project)
        assert search(project, 1).wait() == 0
        assert content(project) == undisturbed
    finally:
        project.end()
