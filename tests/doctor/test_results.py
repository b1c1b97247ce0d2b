"""Every kind of damage to what was recorded: found, set aside or repaired, and trained again to the same scores."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from trained_project import TrainedProject, of

from farback.records.user_error import UserError
from farback.stores import result_files
from farback.stores.mlflow import MLflow
from some import one_in, some


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def no_scores(folder: Path) -> None:
    (folder / result_files.SCORES).unlink()


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder.parent)


def a_file_for_a_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def half_the_scores(folder: Path) -> None:
    cut(folder / result_files.SCORES, 0.5)


def no_last_line(folder: Path) -> None:
    lines = (folder / result_files.SCORES).read_text().splitlines(keepends=True)
    (folder / result_files.SCORES).write_text("".join(lines[:-1]))


def no_last_line_of_an_earlier_release(folder: Path) -> None:
    without_digest(folder)
    no_last_line(folder)


def another_value_of_an_earlier_release(folder: Path) -> None:
    without_digest(folder)
    text = (folder / result_files.SCORES).read_text()
    (folder / result_files.SCORES).write_text(text.replace("training,4,-1,updates,4.0", "training,4,-1,updates,5.0"))


def empty_scores(folder: Path) -> None:
    cut(folder / result_files.SCORES, 0)


def half_the_description(folder: Path) -> None:
    cut(folder / result_files.RESULT, 0.5)


def zeros(folder: Path) -> None:
    for name in (result_files.RESULT, result_files.SCORES):
        (folder / name).write_bytes(bytes((folder / name).stat().st_size))


def another_trial(folder: Path) -> None:
    edited(folder, lambda values: values["trial"].update(key="0123456789abcdef"))


def other_columns(folder: Path) -> None:
    edited(folder, lambda values: values["trial"].update(batch=9))


def without_digest(folder: Path) -> None:
    edited(folder, lambda values: None)


def edited(folder: Path, change: Callable[[dict], object]) -> None:
    """A description of the first release, which had no digest of it, with a change."""
    values = json.loads((folder / result_files.RESULT).read_text())
    del values[result_files.DIGEST]
    change(values)
    (folder / result_files.RESULT).write_text(json.dumps(values, indent=1) + "\n")


def another_digit(folder: Path) -> None:
    text = (folder / result_files.RESULT).read_text()
    (folder / result_files.RESULT).write_text(text.replace('"seed": 0', '"seed": 1'))


DAMAGE = [
    no_scores,
    no_folder,
    a_file_for_a_folder,
    half_the_scores,
    no_last_line,
    no_last_line_of_an_earlier_release,
    another_value_of_an_earlier_release,
    empty_scores,
    half_the_description,
    zeros,
    another_trial,
    other_columns,
    another_digit,
]


def test_an_intact_store_has_no_issues(project: TrainedProject) -> None:
    found = project.check()
    assert (found.issues, found.is_clean, found.trials, found.experiments) == ([], True, 4, 1)
    before = project.dump()
    assert project.repair() == found
    assert project.dump() == before


def test_results_of_the_first_release_need_no_digest_of_their_description(project: TrainedProject) -> None:
    for run_id in project.runs():
        without_digest(project.artifacts(run_id))
    assert project.check().issues == []


@pytest.mark.parametrize("damage", some(DAMAGE, one_in(4)))
def test_a_damaged_result_is_set_aside(project: TrainedProject, damage: Callable[[Path], None]) -> None:
    run_id = project.runs()[1]
    damage(project.artifacts(run_id))
    files = {path: path.read_bytes() for path in project.path.parent.rglob("artifacts/tiny/**/*") if path.is_file()}
    (found,) = project.check().issues
    assert (found.severity, found.check, found.where) == ("error", "scores", f"run {run_id}")
    after = project.repair()
    assert after.is_clean
    assert after.repaired == [found]
    assert project.tag(run_id, "kind") == "set aside"
    assert {path: path.read_bytes() for path in files} == files  # nothing is deleted
    assert project.frame()["key"].nunique() == 3


def test_what_was_set_aside_is_trained_again(project: TrainedProject) -> None:
    before = project.frame()
    no_folder(project.artifacts(project.runs()[1]))
    zeros(project.artifacts(project.runs()[2]))
    assert len(project.repair().repaired) == 2
    again = project.train()
    assert (again.trained, again.reused) == (2, 2)
    pd.testing.assert_frame_equal(project.frame(), before, check_exact=True)
    assert project.check().issues == []


def test_reading_a_damaged_result_names_the_remedy(project: TrainedProject) -> None:
    half_the_scores(project.artifacts(project.runs()[0]))
    with pytest.raises(UserError, match=r"cannot read the scores of run .*farback doctor --repair"):
        project.frame()


def test_other_columns_of_another_release_are_accepted(project: TrainedProject) -> None:
    run_id = project.runs()[0]
    other_columns(project.artifacts(run_id))
    project.set_tag(run_id, "version.farback", "0.0.1")
    assert project.check().issues == []


def test_nothing_is_set_aside_if_all_artifacts_are_unreachable(project: TrainedProject) -> None:
    """Another machine, or a disk that is not mounted: the results may be intact."""
    (project.path.parent / "artifacts").rename(project.path.parent / "elsewhere")
    before = project.dump()
    for look in (project.check, project.repair):
        found = look()
        (one,) = found.issues
        assert (one.severity, one.check, one.repairs) == ("error", "scores", ())
        assert "3 more" in one.where
        assert not found.is_clean
    assert project.dump() == before


def test_a_permission_error_is_not_damage(project: TrainedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert [issue.repairs for issue in project.check().issues] == [()] * 4


LOST = "delete from {} where run_uuid = ? and key = ?"


def test_missing_metrics_are_written_again(project: TrainedProject, intact: TrainedProject) -> None:
    run_id, names = project.runs()[2], ["final/skill", "best/loss", "retention/skill", "train/loss", "valid/accuracy"]
    for table in ("metrics", "latest_metrics"):
        for name in names:
            project.sql(LOST.format(table), run_id, name)
    (found,) = project.check().issues
    assert (found.severity, found.check) == ("warning", "metrics")
    assert "5 metrics missing: " in found.what
    assert project.repair().issues == []
    curve = "select step, value from metrics where run_uuid = ? and key = ? order by step"
    last = "select step, value from latest_metrics where run_uuid = ? and key = ?"
    for name in names:
        for text in (curve, last):
            assert project.sql(text, run_id, name) == intact.sql(text, run_id, name) != []


def test_a_metric_that_differs_from_the_exact_scores_is_written_again(
    project: TrainedProject, intact: TrainedProject
) -> None:
    run_id = project.runs()[0]
    project.sql("update latest_metrics set value = 7 where run_uuid = ? and key = 'final/skill'", run_id)
    project.sql("update metrics set value = 7 where run_uuid = ? and key = 'final/skill'", run_id)
    (found,) = project.check().issues
    assert "1 metric different from the exact scores: final/skill" in found.what
    assert project.repair().issues == []
    last = "select step, value from latest_metrics where run_uuid = ? and key = 'final/skill'"
    assert project.sql(last, run_id) == intact.sql(last, run_id)


def test_a_metric_that_cannot_be_corrected_is_not_written_repeatedly(
    project: TrainedProject,
) -> None:
    run_id = project.runs()[0]
    with MLflow(project.uri) as store:
        store.client.mlflow.log_metric(run_id, "final/skill", 7.0, step=10_000)
    before = project.dump()
    assert not project.repair().is_clean
    assert project.dump() == before


def test_missing_tags_are_written_again(project: TrainedProject, intact: TrainedProject) -> None:
    lost = dict(zip(("status", "cell", "kind"), project.runs()[1:], strict=True))
    for name, run_id in lost.items():
        project.sql(LOST.format("tags"), run_id, name)
    assert len(of(project.check().issues, "tags", "warning")) == 3
    assert project.repair().issues == []
    for name, run_id in lost.items():
        assert project.tag(run_id, name) == intact.tag(run_id, name)
    pd.testing.assert_frame_equal(project.frame(), intact.frame(), check_exact=True)


def test_nothing_is_set_aside_if_the_files_of_all_runs_are_missing(project: TrainedProject) -> None:
    """A server whose disk is not mounted lists no files, and no error."""
    for run_id in project.runs():
        no_folder(project.artifacts(run_id))
    before = project.dump()
    (found,) = project.repair().issues
    assert (found.severity, found.check, found.repairs) == ("error", "scores", ())
    assert "the files of all runs are missing" in found.what
    assert project.dump() == before


def test_a_repair_that_fails_is_reported_and_the_others_are_carried_out(
    project: TrainedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = project.runs()
    for run_id in (first, second):
        half_the_scores(project.artifacts(run_id))
    from mlflow import MlflowClient

    real = MlflowClient.log_batch

    def full(self: MlflowClient, run_id: str, **values: list) -> None:
        if run_id == first:
            raise OSError(28, "No space left on device")
        real(self, run_id, **values)

    monkeypatch.setattr(MlflowClient, "log_batch", full)
    found = project.repair()
    assert [one.where for one in found.repaired] == [f"run {second}"]
    assert {one.check for one in found.issues} == {"scores", "repair"}
    assert "no space left" in of(found.issues, "repair", "error")[0].what
    monkeypatch.undo()
    assert project.repair().is_clean
