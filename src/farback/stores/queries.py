"""What the database behind a store is asked, in SQL.

MLflow has no call that names the runs of given trials without loading all of their metrics (1.5 ms each), and its
tables have no index on a tag's value. So runs are looked up here, through an index of our own. That couples to MLflow's
tables: whoever asks falls back on MLflow's own search when it fails, and a test keeps the two in step
(docs/decisions/0016).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from farback.stores import database, locations
from farback.stores.client import Client, found_runs

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


class EndedRun(NamedTuple):
    """A run that has ended."""

    key: str
    run_id: str
    status: str  # FINISHED, FAILED or KILLED
    ended: int  # ms since 1970
    artifacts: str  # URI


@dataclass(frozen=True)
class TrackedRun:
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
    def as_ended(self) -> EndedRun:
        """As the store speaks of runs that have ended."""
        return EndedRun(self.key, self.run_id, self.status, self.ended, self.artifacts)


def newest(ended: Iterable[EndedRun]) -> dict[str, EndedRun]:
    """The finished run that stands for each key, where there are several."""
    found: dict[str, EndedRun] = {}
    for run in ended:
        if run.status == "FINISHED" and (run.key not in found or age(found[run.key]) < age(run)):
            found[run.key] = run
    return found


def age(run: EndedRun) -> tuple[int, str]:
    """By which of several finished runs of a trial the newest stands, for whoever looks."""
    return run.ended, run.run_id


class RunTables:
    """The runs in an SQLite file or on a PostgreSQL server. Reads only; every error is SQLAlchemy's."""

    def __init__(self, uri: str) -> None:
        """Nothing is opened yet.

        Args:
            uri: of the database.
        """
        self.engine = database.engine(uri)

    def ended(self, experiment_id: str, keys: Sequence[str] | None = None) -> list[EndedRun]:
        """The trial runs of an experiment that have ended.

        Args:
            experiment_id: MLflow's.
            keys: of the trials; all where there are none. The time grows with their number, not with what is stored.
        """
        from sqlalchemy import bindparam, text

        found: list[EndedRun] = []
        with self.engine.connect() as connection:
            if keys is None:
                rows = connection.execute(text(ENDED), {"experiment": int(experiment_id)})
                return [EndedRun(*row) for row in rows]
            question = text(ENDED + " and key.value in :keys").bindparams(bindparam("keys", expanding=True))
            for begin in range(0, len(keys), AT_ONCE):
                asked = {"experiment": int(experiment_id), "keys": keys[begin : begin + AT_ONCE]}
                found += [EndedRun(*row) for row in connection.execute(question, asked)]
        return found

    def running(self, experiment_id: str) -> list[str]:
        """The ids of the trial runs of an experiment that have not ended."""
        from sqlalchemy import text

        with self.engine.connect() as connection:
            return list(connection.execute(text(RUNNING), {"experiment": int(experiment_id)}).scalars())

    def every(self, experiment_id: str, metrics: bool = True) -> list[TrackedRun]:
        """All runs of an experiment that were not deleted, at one moment.

        Args:
            experiment_id: MLflow's.
            metrics: whether their last values are wanted, too; those that are not a number are left out.
        """
        from sqlalchemy import text

        asked = {"experiment": int(experiment_id)}
        with self._still() as connection:
            found = {row[0]: TrackedRun(*row) for row in connection.execute(text(RUNS), asked)}
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


def runs(uri: str) -> RunTables | None:
    """What looks up runs in the database that a URI names; None where that is a server of MLflow's or another kind."""
    return RunTables(uri) if locations.database(uri) is not None or uri.startswith(database.POSTGRES) else None


def every_run(uri: str, client: Any, experiment_id: str, metrics: bool = True) -> list[TrackedRun]:
    """The runs of an experiment.

    Args:
        uri: of the store.
        client: an MLflow client of it.
        experiment_id: MLflow's.
        metrics: whether their last values are wanted, too.
    """
    from sqlalchemy.exc import SQLAlchemyError

    tables = runs(uri)
    if tables is not None:
        with contextlib.suppress(SQLAlchemyError):  # MLflow's tables changed
            return tables.every(experiment_id, metrics)
    return [
        TrackedRun(
            run.info.run_id,
            run.info.status,
            run.info.end_time or 0,
            run.info.artifact_uri,
            dict(run.data.tags),
            {name: value for name, value in run.data.metrics.items() if metrics and not math.isnan(value)},
        )
        for run in found_runs(client, experiment_id)
    ]


FEW = 20  # trials that are asked for one by one; MLflow's search names more of them faster by listing all runs

ENDED_FILTER = "tags.kind = 'trial' and attributes.status != 'RUNNING'"

RUNNING_FILTER = "tags.kind = 'trial' and attributes.status = 'RUNNING'"


class Lookup:
    """Asks the database where it is at hand, else MLflow's own search, which is slower."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._runs = runs(client.uri)

    def running(self, experiment_id: str) -> list[Any]:
        """The trial runs of an experiment that have not ended."""
        from sqlalchemy.exc import SQLAlchemyError

        if self._runs is not None:
            try:
                return [self.client.mlflow.get_run(run_id) for run_id in self._runs.running(experiment_id)]
            except SQLAlchemyError:  # as in `ended`
                pass
        return list(self.client.search(experiment_id, RUNNING_FILTER))

    def ended(self, experiment_id: str, keys: Collection[str] | None = None) -> list[EndedRun]:
        """The ended trial runs of an experiment, of these trials where they are given."""
        from sqlalchemy.exc import SQLAlchemyError

        wanted = None if keys is None else set(keys)
        if self._runs is not None:
            try:
                return self._runs.ended(experiment_id, None if wanted is None else sorted(wanted))
            except SQLAlchemyError:  # MLflow's tables changed: its own search is slower, and right
                pass
        few = wanted is not None and len(wanted) <= FEW
        each = [f" and tags.`farback.key` = '{key}'" for key in wanted or ()] if few else [""]
        found = [run for more in each for run in self.client.search(experiment_id, ENDED_FILTER + more)]
        past = [
            EndedRun(run.data.tags["farback.key"], info.run_id, info.status, info.end_time or 0, info.artifact_uri)
            for run in found
            if (info := run.info)
        ]
        return past if wanted is None else [run for run in past if run.key in wanted]
