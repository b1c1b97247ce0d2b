"""Fill a store with finished trials for the benchmark: one is recorded, the others are copies of its rows.

`put` takes tens of milliseconds, so that 100 000 trials would take an hour. `tests/stores/test_filling.py` checks that
the copies equal what `put` writes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import sqlalchemy

from farback.stores import result_files, run_metadata
from farback.stores.mlflow import MLflow
from farback.trials.events import Event, Finished, Progress
from farback.trials.trial import Trial

AT_ONCE = 5000  # trials in one transaction
COPIED = ("runs", "tags", "params", "metrics", "latest_metrics", "inputs")
CELLS = ("elman", "gru", "lstm", "mgu")
RATES = tuple(round(1e-4 * 1.02**index, 9) for index in range(250))


def trials(count: int, start: int = 0) -> list[Trial]:
    """Real trials of one task: seeds fastest, then cells and learning rates."""
    seeds = range(start, start + max(1, -(-count // (len(CELLS) * len(RATES)))))
    base = Trial.model_validate({"task": "recall", "lag": 20, "cell": "gru", "hidden": 8})
    made = [
        base.model_copy(update={"cell": cell, "optimizer": rate, "seed": seed})
        for cell, rate, seed in product(
            [Trial.model_validate({"task": "recall", "lag": 20, "cell": name}).cell for name in CELLS],
            [base.optimizer.model_copy(update={"lr": rate}) for rate in RATES],
            seeds,
        )
    ]
    return made[:count]


def with_key(events: Sequence[Event], trial: Trial) -> Iterator[Event]:
    """The events of one trial, with the key of another."""
    for event in events:
        if isinstance(event, Finished):
            yield Finished(replace(event.result, key=trial.key))
        elif isinstance(event, Progress):
            yield replace(event, key=trial.key)


def fill(
    store: MLflow,
    database: str,
    experiment: str,
    copies: Sequence[Trial],
    events: Sequence[Event],
    local_folder: Callable[[str], Path],
) -> None:
    """Fill an experiment with finished trials that all have the same results.

    Args:
        store: records the first trial.
        database: the URI of the database behind it.
        experiment: its name.
        copies: the trials, all of one task.
        events: of one finished trial.
        local_folder: returns the folder on this machine for an artifact URI.
    """
    first = copies[0]
    with store.begin(experiment, [first]) as recorder:
        for event in with_key(events, first):
            recorder.put(event)
    (result,) = [event.result for event in events if isinstance(event, Finished)]
    engine = sqlalchemy.create_engine(database)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            for setting in ("synchronous = off", "cache_size = -1000000"):  # the data can be made again after a crash
                connection.exec_driver_sql(f"pragma {setting}")
        pattern = _pattern(connection, first)
        for begin in range(1, len(copies), AT_ONCE):
            rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COPIED}
            for trial in copies[begin : begin + AT_ONCE]:
                run_id = uuid.uuid4().hex
                pattern.add(rows, trial, run_id)
                folder = local_folder(pattern.artifacts.replace(pattern.run_id, run_id))
                folder.mkdir(parents=True)
                for name, content in result_files.written(trial.columns(), result).items():
                    (folder / name).write_bytes(content)
            mark = "?" if engine.dialect.paramstyle == "qmark" else "%s"
            for name in COPIED:
                columns = ", ".join(pattern.columns[name])
                marks = ", ".join([mark] * len(pattern.columns[name]))
                connection.exec_driver_sql(f"insert into {name} ({columns}) values ({marks})", rows[name])
            connection.commit()
        connection.exec_driver_sql("analyze" if engine.dialect.name == "postgresql" else "pragma optimize")
        connection.commit()
    engine.dispose()


@dataclass(frozen=True)
class _Pattern:
    """The rows of the one trial that was put."""

    run_id: str
    artifacts: str
    columns: dict[str, list[str]]
    rows: dict[str, list[tuple[Any, ...]]]
    owner: str

    def add(self, rows: dict[str, list[tuple[Any, ...]]], trial: Trial, run_id: str) -> None:
        """Add the rows of another trial."""
        own = {**run_metadata.trial_tags(trial, self.owner), "mlflow.runName": run_metadata.run_name(trial)}
        changed = {
            "runs": {"name": run_metadata.run_name(trial), "artifact_uri": self.artifacts.replace(self.run_id, run_id)},
            "inputs": {"input_uuid": uuid.uuid4().hex},
        }
        for table, found in self.rows.items():
            names = self.columns[table]
            if table == "params":
                rows[table] += [(name, value, run_id) for name, value in run_metadata.parameters(trial).items()]
            elif table == "tags":
                rows[table] += [(name, own.get(name, value), run_id) for name, value, _ in found]
            else:
                places = {names.index(name): value for name, value in changed.get(table, {}).items()}
                places[names.index("destination_id" if table == "inputs" else "run_uuid")] = run_id
                for row in found:
                    copied = list(row)
                    for place, value in places.items():
                        copied[place] = value
                    rows[table].append(tuple(copied))


def _pattern(connection: sqlalchemy.Connection, trial: Trial) -> _Pattern:
    chosen = sqlalchemy.text("select run_uuid from tags where key = 'farback.key' and value = :key")
    run_id = connection.execute(chosen, {"key": trial.key}).scalar_one()
    columns, rows = {}, {}
    for name in COPIED:
        fields = "key, value, run_uuid" if name in ("tags", "params") else "*"
        owned = "destination_id" if name == "inputs" else "run_uuid"
        found = connection.execute(sqlalchemy.text(f"select {fields} from {name} where {owned} = :id"), {"id": run_id})
        columns[name] = list(found.keys())
        rows[name] = [tuple(row) for row in found]
    artifacts = rows["runs"][0][columns["runs"].index("artifact_uri")]
    owner = next(value for key, value, _ in rows["tags"] if key == "owner")
    return _Pattern(run_id, artifacts, columns, rows, owner)
