"""The benchmark of the store writes many trials at once: they are what `put` writes."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from made_up import finished, progress

from farback.stores import locations
from farback.stores.mlflow import MLflow

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import store_filling

TIMES = {"start_time", "end_time", "timestamp", "input_uuid", "source_id"}  # differ from run to run


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row about a run, with the trial's key in place of the run's id and without times."""
    with sqlite3.connect(path) as connection:
        tagged = "select run_uuid, value from tags where key = 'farback.key'"
        keys = dict(connection.execute(tagged).fetchall())
        found = {}
        for table in store_filling.COPIED:
            cursor = connection.execute(f"select * from {table}")
            kept = [index for index, column in enumerate(cursor.description) if column[0] not in TIMES]
            found[table] = sorted(
                tuple(str(row[index]).replace(str(path.parent), "") for index in kept) for row in cursor
            )
        for run_id, key in keys.items():
            found = {
                table: sorted(tuple(text.replace(run_id, key) for text in row) for row in each)
                for table, each in found.items()
            }
    connection.close()
    return found


def test_copied_trials_equal_recorded_ones(empty_database: Path, tmp_path: Path) -> None:
    wanted = store_filling.trials(3)
    events = [progress(wanted[0]), finished(wanted[0])]
    frames, found = [], []
    for name in ("put", "filled"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "mlflow.db"
        shutil.copy(empty_database, path)
        uri = locations.SQLITE + str(path)
        with MLflow(uri) as store:
            if name == "filled":
                store_filling.fill(store, uri, "first", wanted, events, lambda artifacts, uri=uri: here(artifacts, uri))
            else:
                with store.begin("first", wanted[:1]) as recorder:
                    recorder.add(wanted)
                    for trial in wanted:
                        for event in store_filling.with_key(events, trial):
                            recorder.put(event)
            frames.append(store.frame("first"))
            assert store.finished("first", [trial.key for trial in wanted]) == {trial.key for trial in wanted}
        found.append(rows(path))
    for table in store_filling.COPIED:
        assert len(found[0][table]) >= 3
        assert found[0][table] == found[1][table], table
    pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)


def here(artifacts: str, uri: str) -> Path:
    folder = locations.local(artifacts, uri)
    assert folder is not None
    return folder


def test_the_requested_number_of_different_trials_is_created() -> None:
    made = store_filling.trials(2500)
    assert len({trial.key for trial in made}) == len(made) == 2500
