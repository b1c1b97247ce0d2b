"""Tests of the fault tests themselves: they notice changed results, and count faults correctly."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from catalogue import BEGIN, END, FAULTS, KILLS, Tally, written
from disks import damage, lose_power
from instants import Instants
from projects import Project, finish
from store_contents import StoreContent, check, store_content

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.mark.slow
def test_three_kills_change_nothing_and_a_changed_value_would_be_noticed(
    project: Project, reference: StoreContent, instants: Instants
) -> None:
    for phase in ("start", "training", "training"):
        command = project.run(2)
        instants.reach(command, phase=phase)
        command.kill_all()
    finish(project)
    check(project, reference)
    scores = next(project.store.glob("artifacts/small/*/artifacts/scores.csv"))
    whole = scores.read_bytes()
    scores.write_bytes(whole.replace(b"retention,", b"retention ,", 1))
    with pytest.raises(Exception, match="cannot read the scores"):
        store_content(project)
    scores.write_bytes(whole)
    with closing(sqlite3.connect(project.database)) as connection:
        connection.execute("update metrics set value = value + 1e-9 where step = 300 and key = 'train/loss'")
        connection.commit()
    assert [text.partition(":")[0] for text in reference.differences(store_content(project))] == ["metrics"]
    with closing(sqlite3.connect(project.database)) as connection:
        connection.execute("update runs set status = 'RUNNING' where rowid = 1")
        connection.commit()
    with pytest.raises(AssertionError, match="marked as running"):
        store_content(project)


def test_the_table_counts_faults_of_failed_cases_as_not_survived(tmp_path: Path) -> None:
    tally = Tally()
    tally.add([("driver", "start"), ("driver", "training"), ("all", "training")], passed=True)
    tally.add([("driver", "training")], passed=False)
    tally.skipped["full store"] = "skipped"
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nan old table\n{END}\nafter\n")
    written(page, tally.table("Today."))
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in page.read_text().splitlines()}
    assert rows[FAULTS["driver"].name][2:4] == ["3", "**2**"]
    assert rows[FAULTS["all"].name][2:4] == ["1", "1"]
    assert rows[FAULTS["full store"].name][2:4] == ["0", "skipped"]
    assert rows["all"][2:4] == ["4", "3"]
    assert "old table" not in page.read_text()
    assert page.read_text().endswith("after\n")
    assert "1 before the first trial, 3 while trials trained" in page.read_text()


def test_a_document_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="has no place"):
        written(page, "table")
    assert page.read_text() == "nothing\n"


def test_the_document_has_a_place_for_the_table() -> None:
    assert DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[1]


def test_kills_are_faults() -> None:
    assert not KILLS - FAULTS.keys()


def test_a_power_loss_keeps_flushed_bytes_and_truncates_the_rest(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.store / "artifacts").mkdir(parents=True)
    kept, part, lost = (project.store / "artifacts" / name for name in ("kept", "part", "lost"))
    for path in (kept, part, lost):
        path.write_bytes(b"x" * 100)
    flushed = [(kept, 100), (part, 40)]
    lines = [f"{path.stat().st_dev} {path.stat().st_ino} {size}" for path, size in flushed]
    (project.root / "tmp" / "flushed").write_text("\n".join(lines))
    kept.rename(kept.with_name("renamed"))
    wal, index = (project.store / f"mlflow.db-{end}" for end in ("wal", "shm"))
    for path in (project.database, wal, index):
        path.write_bytes(b"x" * 10)
    assert lose_power(project, random.Random(1), drop_log=False) == [lost, part]
    assert kept.with_name("renamed").stat().st_size == 100
    assert 40 <= part.stat().st_size < 100
    assert lost.stat().st_size < 100
    assert wal.stat().st_size > 10
    assert not index.exists()
    lose_power(project, random.Random(2), drop_log=True)
    assert not wal.exists()


def test_damage_changes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for seed in range(20):
        path.write_bytes(b"some bytes")
        damage(path, random.Random(seed))
        assert path.read_bytes() != b"some bytes"


def test_a_process_that_reuses_the_id_of_an_ended_command_is_not_killed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    command = project.start("--help")
    assert command.wait() == 0
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        try:
            command.process.pid = other.pid  # as the system may reuse it
            assert command.replaced
            assert command.members() == []
            project.end()
            assert other.poll() is None
        finally:
            other.kill()
