"""What lies on the disk: databases, checkpoints, leftovers, artifacts."""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from wards import GONE, Ward, left_running, of

from farback.doctor.files import checkpoints, unreadable
from farback.doctor.runs import Trials
from farback.experiment import Experiment
from farback.system import safetensors

WHOLE = safetensors.packed({"a": np.array([1.0, 2.0]), "b": np.array([3.0])}, "{}")


def kept(ward: Ward, name: str, content: bytes = WHOLE, age: float = 0.0) -> Path:
    folder = ward.path.parent / "checkpoints" / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def unseen(ward: Ward) -> str:
    """The key of a trial that has not finished."""
    return Experiment.load(ward.config.path, ["seed=7"]).trials()[0].key


def test_a_checkpoint_that_was_cut_anywhere_is_told_from_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for content in (WHOLE, safetensors.packed({}, "")):
        path.write_bytes(content)
        assert unreadable(path) == ""
        for length in range(len(content)):
            path.write_bytes(content[:length])
            assert unreadable(path), length
        path.write_bytes(content + b"x")
        assert unreadable(path)
    for content in (b"\xff" * 100, (2).to_bytes(8, "little") + b"[]", (4).to_bytes(8, "little") + b"null"):
        path.write_bytes(content)
        assert unreadable(path)


def test_a_checkpoint_that_waits_is_a_note(ward: Ward) -> None:
    path = kept(ward, f"{unseen(ward)}.safetensors")
    found = ward.repaired()
    assert [(one.severity, one.check) for one in found.findings] == [("note", "checkpoints")]
    assert path.exists()


def test_a_checkpoint_of_a_finished_trial_is_removed(ward: Ward) -> None:
    path = kept(ward, f"{ward.config.trials()[0].key}.safetensors")
    assert of(ward.looked().findings, "checkpoints", "warning")
    assert ward.repaired().findings == []
    assert not path.exists()


def test_a_checkpoint_that_cannot_be_read_is_set_aside(ward: Ward) -> None:
    path = kept(ward, f"{unseen(ward)}.safetensors", WHOLE[:-3])
    assert "cannot be read" in of(ward.looked().findings, "checkpoints", "warning")[0].what
    assert ward.repaired().findings == []
    assert not path.exists()
    assert path.with_name(path.name + ".unusable").read_bytes() == WHOLE[:-3]
    kept(ward, path.name, WHOLE[:-5])  # and another one, later
    assert ward.repaired().findings == []
    assert path.with_name(path.name + ".unusable").read_bytes() == WHOLE[:-3]
    assert path.with_name(path.name + ".2.unusable").read_bytes() == WHOLE[:-5]


def test_a_checkpoint_of_a_result_that_is_set_aside_is_kept(ward: Ward) -> None:
    run_id = ward.runs()[0]
    path = kept(ward, f"{ward.tag(run_id, 'farback.key')}.safetensors")
    (ward.artifacts(run_id) / "scores.csv").unlink()
    assert ward.repaired().is_clean
    assert path.exists()


def test_what_is_being_written_is_left_alone_and_what_was_left_is_removed(ward: Ward) -> None:
    fresh, stale = (kept(ward, f"{unseen(ward)}.{name}", b"half", age) for name, age in (("new", 1.0), ("tmp", 1e5)))
    (found,) = of(ward.looked().findings, "leftovers")
    assert found.where == str(stale)
    assert ward.repaired().findings == []
    assert (fresh.exists(), stale.exists()) == (True, False)


def test_checkpoints_of_a_trial_that_a_driver_is_at_are_left_alone(ward: Ward) -> None:
    run_id = left_running(ward, "another-host:1:1.00")
    key = ward.tag(run_id, "farback.key")
    kept(ward, f"{key}.safetensors", WHOLE[:-3])
    kept(ward, f"{key}.tmp", b"half", 1e5)
    before = ward.dump()
    assert not ward.repaired().mended
    assert ward.dump() == before


def test_no_checkpoints_are_no_finding(tmp_path: Path) -> None:
    assert list(checkpoints(tmp_path, Trials({}, {}), "tiny")) == []


@pytest.mark.parametrize("name", ["mlflow.db", "optuna.db"])
def test_a_database_half_made_is_removed_when_nobody_makes_it(ward: Ward, name: str) -> None:
    left = ward.path.with_name(name + ".new")
    left.write_text("what a killed process left")
    with FileLock(ward.path.with_name(name + ".lock")):
        assert len(of(ward.repaired().findings, "leftovers", "warning")) == 1
    assert left.exists()
    assert ward.repaired().findings == []
    assert not left.exists()


def test_artifacts_that_belong_to_no_run_are_a_note_and_stay(ward: Ward) -> None:
    folder = ward.path.parent / "artifacts" / "tiny" / "0123"
    folder.mkdir()
    (found,) = ward.repaired().findings
    assert (found.severity, found.check, "1 folder of artifacts" in found.what) == ("note", "artifacts", True)
    assert folder.exists()


def test_a_deleted_run_is_no_orphan_and_no_finding(ward: Ward) -> None:
    ward.sql("update runs set lifecycle_stage = 'deleted' where run_uuid = ?", ward.runs()[0])
    found = ward.looked()
    assert (found.findings, found.trials) == ([], 3)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("hello " * 1000)


def a_page_of_noise(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 2048] = b"\xa5" * 2048
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def another_schema(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BROKEN = {
    empty: "is empty",
    text: "is not a database",
    a_page_of_noise: "is damaged|malformed",
    cut_short: "damaged|cannot be read",
    another_schema: "of a newer MLflow .tables ffffffffffff",
    a_folder: "cannot be read",
}


@pytest.mark.parametrize("damage", BROKEN)
def test_what_is_no_database_of_ours_is_named_and_left_as_it_is(ward: Ward, damage: Callable[[Path], None]) -> None:
    for part in ward.path.parent.glob("mlflow.db-*"):
        part.unlink()
    damage(ward.path)
    before = ward.path.read_bytes() if ward.path.is_file() else b""
    found = ward.repaired()
    (one,) = found.findings
    assert (one.severity, one.check, one.mends, found.mended) == ("error", "database", (), [])
    assert re.search(BROKEN[damage], one.what)
    assert one.remedy
    assert (ward.path.read_bytes() if ward.path.is_file() else b"") == before


def test_a_locked_database_says_so(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farback.doctor.files.BUSY_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(ward.path)) as holder:
        holder.execute("pragma locking_mode = exclusive")
        holder.execute("begin exclusive")
        (found,) = ward.looked().findings
    assert "locked" in found.what
    assert "try again" in found.remedy


def test_a_dead_driver_is_seen_without_a_config_or_checkpoints(ward: Ward) -> None:
    left_running(ward, GONE)
    ward.config.path.unlink()
    assert ward.repaired().is_clean
