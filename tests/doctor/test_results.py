"""Every kind of damage to what was recorded: found, mended, and trained again to the same scores."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from wards import Ward, of

from farback.records.record import UserError
from farback.stores import result_files
from farback.stores.mlflow import MLflow


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
    edited(folder, lambda said: said["trial"].update(key="0123456789abcdef"))


def other_columns(folder: Path) -> None:
    edited(folder, lambda said: said["trial"].update(batch=9))


def without_digest(folder: Path) -> None:
    edited(folder, lambda said: said.pop("scores"))


def edited(folder: Path, change: Callable[[dict], object]) -> None:
    said = json.loads((folder / result_files.RESULT).read_text())
    change(said)
    (folder / result_files.RESULT).write_text(json.dumps(said, indent=1) + "\n")


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
]


def test_a_store_that_was_trained_gives_no_findings(ward: Ward) -> None:
    found = ward.looked()
    assert (found.findings, found.is_clean, found.trials, found.experiments) == ([], True, 4, 1)
    before = ward.dump()
    assert ward.repaired() == found
    assert ward.dump() == before


def test_results_of_an_earlier_release_are_whole_without_a_digest(ward: Ward) -> None:
    for run_id in ward.runs():
        without_digest(ward.artifacts(run_id))
    assert ward.looked().findings == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_is_set_aside_and_trained_again(ward: Ward, damage: Callable[[Path], None]) -> None:
    before = ward.frame()
    run_id = ward.runs()[1]
    damage(ward.artifacts(run_id))
    files = {path: path.read_bytes() for path in ward.path.parent.rglob("artifacts/tiny/**/*") if path.is_file()}
    (found,) = ward.looked().findings
    assert (found.severity, found.check, found.where) == ("error", "scores", f"run {run_id}")
    after = ward.repaired()
    assert after.is_clean
    assert after.mended == [found]
    assert ward.tag(run_id, "kind") == "set aside"
    assert {path: path.read_bytes() for path in files} == files  # nothing is deleted
    assert ward.frame()["key"].nunique() == 3
    again = ward.train()
    assert (again.trained, again.reused) == (1, 3)
    pd.testing.assert_frame_equal(ward.frame(), before, check_exact=True)
    assert ward.looked().findings == []


def test_until_then_reading_says_what_to_do(ward: Ward) -> None:
    half_the_scores(ward.artifacts(ward.runs()[0]))
    with pytest.raises(UserError, match=r"cannot be read.*farback doctor --repair"):
        ward.frame()


def test_columns_of_another_release_are_not_held_against_a_result(ward: Ward) -> None:
    run_id = ward.runs()[0]
    other_columns(ward.artifacts(run_id))
    ward.set_tag(run_id, "version.farback", "0.0.1")
    assert ward.looked().findings == []


def test_where_all_artifacts_are_out_of_reach_nothing_is_set_aside(ward: Ward) -> None:
    """Another machine, or a disk that is not mounted: the results may be whole."""
    (ward.path.parent / "artifacts").rename(ward.path.parent / "elsewhere")
    before = ward.dump()
    for look in (ward.looked, ward.repaired):
        found = look()
        (one,) = found.findings
        assert (one.severity, one.check, one.mends) == ("error", "scores", ())
        assert "3 more" in one.where
        assert not found.is_clean
    assert ward.dump() == before


def test_a_folder_that_may_not_be_read_is_not_damage(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert [finding.mends for finding in ward.looked().findings] == [()] * 4


LOST = "delete from {} where run_uuid = ? and key = ?"


@pytest.mark.parametrize("name", ["final/skill", "best/loss", "retention/skill", "train/loss", "valid/accuracy"])
def test_a_missing_metric_is_written_again(ward: Ward, whole: Ward, name: str) -> None:
    run_id = ward.runs()[2]
    for table in ("metrics", "latest_metrics"):
        ward.sql(LOST.format(table), run_id, name)
    (found,) = ward.looked().findings
    assert (found.severity, found.check) == ("warning", "metrics")
    assert f"1 metric missing: {name}" in found.what
    assert ward.repaired().findings == []
    curve = "select step, value from metrics where run_uuid = ? and key = ? order by step"
    last = "select step, value from latest_metrics where run_uuid = ? and key = ?"
    for text in (curve, last):
        assert ward.sql(text, run_id, name) == whole.sql(text, run_id, name) != []


def test_a_metric_that_is_not_what_the_scores_say_is_written_again(ward: Ward, whole: Ward) -> None:
    run_id = ward.runs()[0]
    ward.sql("update latest_metrics set value = 7 where run_uuid = ? and key = 'final/skill'", run_id)
    ward.sql("update metrics set value = 7 where run_uuid = ? and key = 'final/skill'", run_id)
    (found,) = ward.looked().findings
    assert "1 metric not what the exact scores say: final/skill" in found.what
    assert ward.repaired().findings == []
    last = "select step, value from latest_metrics where run_uuid = ? and key = 'final/skill'"
    assert ward.sql(last, run_id) == whole.sql(last, run_id)


def test_a_metric_that_cannot_be_put_right_stays_a_finding_and_is_not_written_over_and_over(ward: Ward) -> None:
    run_id = ward.runs()[0]
    with MLflow(ward.uri) as store:
        store.client.log_metric(run_id, "final/skill", 7.0, step=10_000)
    before = ward.dump()
    assert not ward.repaired().is_clean
    assert ward.dump() == before


@pytest.mark.parametrize("name", ["status", "cell", "kind"])
def test_a_missing_tag_is_written_again(ward: Ward, whole: Ward, name: str) -> None:
    run_id = ward.runs()[3]
    before = ward.tag(run_id, name)
    ward.sql(LOST.format("tags"), run_id, name)
    assert of(ward.looked().findings, "tags", "warning")
    assert ward.repaired().findings == []
    assert ward.tag(run_id, name) == before
    pd.testing.assert_frame_equal(ward.frame(), whole.frame(), check_exact=True)


def test_where_the_files_of_all_runs_are_missing_nothing_is_set_aside(ward: Ward) -> None:
    """A server whose disk is not mounted lists no files, and no error."""
    for run_id in ward.runs():
        no_folder(ward.artifacts(run_id))
    before = ward.dump()
    (found,) = ward.repaired().findings
    assert (found.severity, found.check, found.mends) == ("error", "scores", ())
    assert "those of all runs are missing" in found.what
    assert ward.dump() == before


def test_what_fails_while_mending_is_said_and_the_rest_is_mended(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = ward.runs()
    for run_id in (first, second):
        half_the_scores(ward.artifacts(run_id))
    from mlflow import MlflowClient

    real = MlflowClient.set_tag

    def full(self: MlflowClient, run_id: str, name: str, value: str) -> None:
        if run_id == first:
            raise OSError(28, "No space left on device")
        real(self, run_id, name, value)

    monkeypatch.setattr(MlflowClient, "set_tag", full)
    found = ward.repaired()
    assert [one.where for one in found.mended] == [f"run {second}"]
    assert {one.check for one in found.findings} == {"scores", "repair"}
    assert "No space left" in of(found.findings, "repair", "error")[0].what
    monkeypatch.undo()
    assert ward.repaired().is_clean
