"""Checks of the two databases."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from trained_project import TrainedProject

from farback.doctor.files import database


def test_a_deleted_run_is_no_issue(project: TrainedProject) -> None:
    project.sql("update runs set lifecycle_stage = 'deleted' where run_uuid = ?", project.runs()[0])
    found = project.check()
    assert (found.issues, found.trials) == ([], 3)


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
    another_schema: "by a newer MLflow .tables ffffffffffff",
    a_folder: "cannot be read",
}


@pytest.mark.parametrize("damage", BROKEN)
def test_an_unusable_database_is_named_and_not_changed(project: TrainedProject, damage: Callable[[Path], None]) -> None:
    for part in project.path.parent.glob("mlflow.db-*"):
        part.unlink()
    damage(project.path)
    before = project.path.read_bytes() if project.path.is_file() else b""
    found = project.repair()
    (one,) = found.issues
    assert (one.severity, one.check, one.repairs, found.repaired) == ("error", "database", (), [])
    assert re.search(BROKEN[damage], one.what)
    assert one.remedy
    assert (project.path.read_bytes() if project.path.is_file() else b"") == before


def test_a_check_keeps_the_locks_of_the_connections_of_its_process(tmp_path: Path) -> None:
    """Else another process that closes the database deletes the log that these connections still write to."""
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as held:
        held.execute("pragma journal_mode = wal")
        held.execute("create table numbers (number)")
        held.commit()
        assert list(database(path)) == []
        code = f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('insert into numbers values (1)'); "
        subprocess.run([sys.executable, "-c", f"{code} c.commit(); c.close()"], check=True)
        assert path.with_name("mlflow.db-wal").exists()
        assert held.execute("select number from numbers").fetchall() == [(1,)]


def test_a_locked_database_says_so(project: TrainedProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farback.doctor.files.BUSY_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(project.path)) as holder:
        holder.execute("pragma locking_mode = exclusive")
        holder.execute("begin exclusive")
        (found,) = project.check().issues
    assert "locked" in found.what
    assert "check again" in found.remedy
