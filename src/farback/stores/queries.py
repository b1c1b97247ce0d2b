"""What the database behind a store is asked, in SQL.

MLflow has no call that names the runs of given trials without loading all of their metrics (1.5 ms each), and its
tables have no index on a tag's value. So runs are looked up here, through an index of our own. That couples to MLflow's
tables: whoever asks falls back on MLflow's own search when it fails, and a test keeps the two in step
(docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from farback.stores import database, locations

AT_ONCE = 1000  # keys in one question
ENDED = """
    select key.value, runs.run_uuid, runs.status, coalesce(runs.end_time, 0), runs.artifact_uri
    from tags as key
    join runs on runs.run_uuid = key.run_uuid
    join tags as kind on kind.run_uuid = runs.run_uuid and kind.key = 'kind' and kind.value = 'trial'
    where key.key = 'farback.key' and runs.experiment_id = :experiment
    and runs.status != 'RUNNING' and runs.lifecycle_stage = 'active'
"""
RUNNING = """
    select runs.run_uuid from runs
    join tags as kind on kind.run_uuid = runs.run_uuid and kind.key = 'kind' and kind.value = 'trial'
    where runs.experiment_id = :experiment and runs.status = 'RUNNING' and runs.lifecycle_stage = 'active'
"""
ALL = "runs.experiment_id = :experiment and runs.lifecycle_stage = 'active'"
RUNS = f"select run_uuid, status, coalesce(end_time, 0), artifact_uri from runs where {ALL}"
TAGS = f"select tags.run_uuid, tags.key, tags.value from tags join runs using (run_uuid) where {ALL}"
METRICS = f"""
    select last.run_uuid, last.key, last.value from latest_metrics as last join runs using (run_uuid)
    where {ALL} and not last.is_nan
"""


class Past(NamedTuple):
    """A run that has ended."""

    key: str
    run_id: str
    status: str  # FINISHED, FAILED or KILLED
    ended: int  # ms since 1970
    artifacts: str  # URI


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


def newest(ended: Iterable[Past]) -> dict[str, Past]:
    """The finished run that stands for each key, where there are several."""
    found: dict[str, Past] = {}
    for run in ended:
        if run.status == "FINISHED" and (run.key not in found or age(found[run.key]) < age(run)):
            found[run.key] = run
    return found


def age(run: Past) -> tuple[int, str]:
    """By which of several finished runs of a trial the newest stands, for whoever looks."""
    return run.ended, run.run_id


class Runs:
    """The runs in an SQLite file or on a PostgreSQL server. Reads only; every error is SQLAlchemy's."""

    def __init__(self, uri: str) -> None:
        """Nothing is opened yet.

        Args:
            uri: of the database.
        """
        self.engine = database.engine(uri)

    def ended(self, experiment_id: str, keys: Sequence[str] | None = None) -> list[Past]:
        """The trial runs of an experiment that have ended.

        Args:
            experiment_id: MLflow's.
            keys: of the trials; all where there are none. The time grows with their number, not with what is stored.
        """
        from sqlalchemy import bindparam, text

        found: list[Past] = []
        with self.engine.connect() as connection:
            if keys is None:
                rows = connection.execute(text(ENDED), {"experiment": int(experiment_id)})
                return [Past(*row) for row in rows]
            question = text(ENDED + " and key.value in :keys").bindparams(bindparam("keys", expanding=True))
            for begin in range(0, len(keys), AT_ONCE):
                asked = {"experiment": int(experiment_id), "keys": keys[begin : begin + AT_ONCE]}
                found += [Past(*row) for row in connection.execute(question, asked)]
        return found

    def running(self, experiment_id: str) -> list[str]:
        """The ids of the trial runs of an experiment that have not ended."""
        from sqlalchemy import text

        with self.engine.connect() as connection:
            return list(connection.execute(text(RUNNING), {"experiment": int(experiment_id)}).scalars())

    def every(self, experiment_id: str, metrics: bool = True) -> list[Run]:
        """All runs of an experiment that were not deleted, at one moment.

        Args:
            experiment_id: MLflow's.
            metrics: whether their last values are wanted, too; those that are not a number are left out.
        """
        from sqlalchemy import text

        asked = {"experiment": int(experiment_id)}
        with self._still() as connection:
            found = {row[0]: Run(*row) for row in connection.execute(text(RUNS), asked)}
            for run_id, name, value in connection.execute(text(TAGS), asked):
                found[run_id].tags[name] = value
            for run_id, name, number in connection.execute(text(METRICS), asked) if metrics else ():
                found[run_id].metrics[name] = number
        return list(found.values())

    def ids(self) -> set[str]:
        """The ids of the runs of all experiments, deleted ones too."""
        from sqlalchemy import text

        with self.engine.connect() as connection:
            return set(connection.execute(text("select run_uuid from runs")).scalars())

    @contextmanager
    def _still(self) -> Iterator[Any]:
        """A connection for which nothing changes between its questions."""
        served = self.engine.dialect.name == database.POSTGRES
        options = {"isolation_level": "REPEATABLE READ"} if served else {}
        with self.engine.connect().execution_options(**options) as connection:
            if not served:
                connection.exec_driver_sql("begin")  # Python's driver begins nothing before it writes
            yield connection


def runs(uri: str) -> Runs | None:
    """What looks up runs in the database that a URI names; None where that is a server of MLflow's or another kind."""
    return Runs(uri) if locations.database(uri) is not None or uri.startswith(database.POSTGRES) else None
