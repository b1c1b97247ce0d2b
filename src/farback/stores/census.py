"""Every run of an experiment with its tags and last values, in bulk.

MLflow's own search takes about 1.5 ms a run. Where the store is an SQLite file three queries say the same; as in
`database`, they couple to MLflow's tables, the search is what is fallen back on, and a test keeps the two in step.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from farback.stores import locations
from farback.stores.database import BUSY_SECONDS, Past
from farback.stores.tracking import found_runs

RUNS = """
    select run_uuid, status, coalesce(end_time, 0), artifact_uri from runs
    where experiment_id = ? and lifecycle_stage = 'active'
"""
TAGS = """
    select tags.run_uuid, tags.key, tags.value from tags join runs using (run_uuid)
    where runs.experiment_id = ? and runs.lifecycle_stage = 'active'
"""
METRICS = """
    select last.run_uuid, last.key, last.value from latest_metrics as last join runs using (run_uuid)
    where runs.experiment_id = ? and runs.lifecycle_stage = 'active' and not last.is_nan
"""


@dataclass(frozen=True)
class Run:
    """A run that was not deleted: a trial's, a summary, or one that another replaced.

    Attributes:
        run_id: MLflow's.
        status: RUNNING, FINISHED, FAILED or KILLED.
        ended: ms since 1970; 0 where it has not ended.
        artifacts: their URI.
        tags: by name.
        metrics: the last value of each, by name.
    """

    run_id: str
    status: str
    ended: int
    artifacts: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What the run is of: "trial" where it counts as one."""
        return self.tags.get("kind", "")

    @property
    def key(self) -> str:
        """Of the trial."""
        return self.tags.get("farback.key", "")

    @property
    def past(self) -> Past:
        """As the store speaks of runs that have ended."""
        return Past(self.key, self.run_id, self.status, self.ended, self.artifacts)


def runs(uri: str, client: Any, experiment_id: str, metrics: bool = True) -> list[Run]:
    """The runs of an experiment.

    Args:
        uri: of the store.
        client: an MLflow client of it.
        experiment_id: MLflow's.
        metrics: whether their last values are wanted, too.
    """
    path = locations.database(uri)
    if path is not None:
        try:
            return _read(path, experiment_id, metrics)
        except sqlite3.Error:  # MLflow's tables changed
            pass
    return [
        Run(
            run.info.run_id,
            run.info.status,
            run.info.end_time or 0,
            run.info.artifact_uri,
            dict(run.data.tags),
            {name: value for name, value in run.data.metrics.items() if metrics and not math.isnan(value)},
        )
        for run in found_runs(client, experiment_id)
    ]


def ids(path: Path) -> set[str]:
    """The ids of every run in an SQLite file, deleted ones too."""
    with opened(path) as connection:
        return {str(run_id) for (run_id,) in connection.execute("select run_uuid from runs")}


def opened(path: Path, seconds: float = BUSY_SECONDS) -> contextlib.closing[sqlite3.Connection]:
    """An SQLite file, to be read only; a lock is waited for."""
    address = f"file:{quote(str(path))}?mode=ro"
    return contextlib.closing(sqlite3.connect(address, uri=True, timeout=seconds))


def _read(path: Path, experiment_id: str, metrics: bool) -> list[Run]:
    with opened(path) as connection:
        connection.execute("begin")  # one state of the file for all three
        which = (int(experiment_id),)
        found = {row[0]: Run(*row) for row in connection.execute(RUNS, which)}
        for run_id, name, text in connection.execute(TAGS, which):
            found[run_id].tags[name] = text
        for run_id, name, value in connection.execute(METRICS, which) if metrics else ():
            found[run_id].metrics[name] = value
    return list(found.values())
