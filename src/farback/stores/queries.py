"""Looks up the runs of a store: in SQL where its database can be read, else through MLflow's own search.

MLflow has no call that finds the runs of given trials without loading all of their metrics (1.5 ms each), and its
tables have no index on a tag's value. The queries here use an index of our own (`database.INDEXES`). They depend on
MLflow's tables: where they fail, MLflow's slower search answers, and a test compares the two (docs/decisions/0016).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from farback.stores import database, locations
from farback.stores.client import Client, quiet
from farback.stores.retries import timed

KEYS_PER_QUERY = 1000
KEYS_PER_SEARCH = 20  # for more keys, MLflow's search is faster when it lists all runs
ENDED = """
    select runs.run_uuid, runs.status, coalesce(runs.end_time, 0), runs.artifact_uri, key.value
    from tags as key
    join runs on runs.run_uuid = key.run_uuid
    join tags as kind on kind.run_uuid = runs.run_uuid and kind.key = 'kind' and kind.value = 'trial'
    where key.key = 'farback.key' and runs.experiment_id = :experiment
    and runs.status != 'RUNNING' and runs.lifecycle_stage = 'active'
"""
ENDED_AMONG = f"{ENDED} and key.value in :keys"
EXPERIMENT = "select experiment_id, lifecycle_stage from experiments where name = :name"
SUMMARIES = """
    select runs.status, runs.artifact_uri, digest.value from runs
    join tags as kind on kind.run_uuid = runs.run_uuid and kind.key = 'kind' and kind.value = 'summary'
    left join tags as digest on digest.run_uuid = runs.run_uuid and digest.key = :name
    where runs.experiment_id = :experiment and runs.lifecycle_stage = 'active'
"""
RUNNING = """
    select runs.run_uuid from runs
    join tags as kind on kind.run_uuid = runs.run_uuid and kind.key = 'kind' and kind.value = 'trial'
    where runs.experiment_id = :experiment and runs.status = 'RUNNING' and runs.lifecycle_stage = 'active'
"""
ACTIVE = "runs.experiment_id = :experiment and runs.lifecycle_stage = 'active'"
RUNS = f"select run_uuid, status, coalesce(end_time, 0), artifact_uri from runs where {ACTIVE}"
TAGS = f"select tags.run_uuid, tags.key, tags.value from tags join runs using (run_uuid) where {ACTIVE}"
METRICS = f"""
    select last.run_uuid, last.key, last.value from latest_metrics as last join runs using (run_uuid)
    where {ACTIVE} and not last.is_nan
"""


@dataclass(frozen=True)
class TrackedRun:
    """A run that was not deleted: a trial's, a summary, or one that another run replaced."""

    run_id: str
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    ended: int  # milliseconds since 1970; 0 while it is running
    artifacts: str  # URI of its artifacts
    tags: dict[str, str] = field(default_factory=dict)  # `RunLookup.ended` may give the trial's key only
    metrics: dict[str, float] = field(default_factory=dict)  # the last value of each

    @property
    def kind(self) -> str:
        """ "trial" for a run that counts, "summary", or why it does not count."""
        return self.tags.get("kind", "")

    @property
    def key(self) -> str:
        """The trial's key."""
        return self.tags.get("farback.key", "")

    @property
    def age(self) -> tuple[int, str]:
        """Sorts runs of one trial: the newest is the largest."""
        return self.ended, self.run_id


def newest(ended: Iterable[TrackedRun]) -> dict[str, TrackedRun]:
    """The newest finished run of each trial, by key."""
    finished: dict[str, TrackedRun] = {}
    for run in ended:
        if run.status == "FINISHED" and (run.key not in finished or finished[run.key].age < run.age):
            finished[run.key] = run
    return finished


class RunLookup:
    """Looks up runs of a store."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.has_database = locations.database(client.uri) is not None or client.uri.startswith(database.POSTGRES)
        self._engine = database.engine(client.uri) if self.has_database else None

    def experiment(self, name: str) -> tuple[str, str] | None:
        """The id of an experiment, and its stage: active or deleted; None where it does not exist."""
        rows = self._rows(EXPERIMENT, name=name)
        if rows is None or len(rows) > 1:
            with quiet():
                found = self.client.mlflow.get_experiment_by_name(name)
            return None if found is None else (str(found.experiment_id), str(found.lifecycle_stage))
        return next(((str(number), str(stage)) for number, stage in rows), None)

    def running(self, experiment_id: str) -> list[TrackedRun]:
        """The runs of an experiment's trials that have not ended, without metrics."""
        rows = self._rows(RUNNING, experiment=int(experiment_id))
        if rows is None:
            return self._search(experiment_id, "tags.kind = 'trial' and attributes.status = 'RUNNING'")
        return [_tracked(self.client.mlflow.get_run(run_id)) for (run_id,) in rows]

    def ended(self, experiment_id: str, keys: Collection[str] | None = None) -> list[TrackedRun]:
        """The ended runs of these trials (default: of all trials), without metrics; the tags contain the trial's key.

        The time grows with the number of keys, not with the size of the store.
        """
        batches: list[dict[str, list[str]]] = [{}]
        if keys is not None:
            ordered = sorted(set(keys))
            starts = range(0, len(ordered), KEYS_PER_QUERY)
            batches = [{"keys": ordered[start : start + KEYS_PER_QUERY]} for start in starts]
        found = []
        for batch in batches:
            rows = self._rows(ENDED_AMONG if batch else ENDED, experiment=int(experiment_id), **batch)
            if rows is None:
                return self._search_ended(experiment_id, keys)
            found += [
                TrackedRun(run_id, status, ended, artifacts, {"farback.key": key})
                for run_id, status, ended, artifacts, key in rows
            ]
        return found

    def summary(self, experiment_id: str, digest_tag: str) -> tuple[str, str]:
        """The digest of an experiment's summary and the URI of its artifacts.

        Both are empty if there is no finished summary, or more than one, or if the database cannot be read.
        """
        rows = self._rows(SUMMARIES, experiment=int(experiment_id), name=digest_tag)
        if not rows or len(rows) > 1 or rows[0][0] != "FINISHED":
            return "", ""
        return str(rows[0][2] or ""), str(rows[0][1])

    def every(self, experiment_id: str, metrics: bool = True) -> list[TrackedRun]:
        """All runs of an experiment that were not deleted; metrics that are NaN are left out."""
        # Runs are read first, so that a run listed as ended has all of its tags and metrics
        own = {"experiment": int(experiment_id)}
        rows, tags = self._rows(RUNS, **own), self._rows(TAGS, **own)
        values = self._rows(METRICS, **own) if metrics else []
        if rows is None or tags is None or values is None:
            return self._search(experiment_id, "", metrics)
        found = {row[0]: TrackedRun(*row) for row in rows}
        for run_id, name, text in tags:
            if run_id in found:
                found[run_id].tags[name] = text
        for run_id, name, value in values:
            if run_id in found:
                found[run_id].metrics[name] = value
        return list(found.values())

    def _rows(self, query: str, **values: int | str | list[str]) -> list[Any] | None:
        """The rows that a query selects; None where the database cannot be read or has other tables than expected."""
        if self._engine is None:
            return None
        from sqlalchemy import bindparam, text
        from sqlalchemy.exc import SQLAlchemyError

        lists = [name for name, value in values.items() if isinstance(value, list)]
        try:
            statement = text(query).bindparams(*(bindparam(name, expanding=True) for name in lists))
            with timed(), self._engine.connect() as connection:
                return list(connection.execute(statement, values))
        except SQLAlchemyError:
            return None

    def _search(self, experiment_id: str, text: str, metrics: bool = False) -> list[TrackedRun]:
        with quiet():
            return [_tracked(run, metrics) for run in self.client.search(experiment_id, text)]

    def _search_ended(self, experiment_id: str, keys: Collection[str] | None) -> list[TrackedRun]:
        texts = ["tags.kind = 'trial' and attributes.status != 'RUNNING'"]
        if keys is not None and len(keys) <= KEYS_PER_SEARCH:
            texts = [f"{texts[0]} and tags.`farback.key` = '{key}'" for key in keys]
        found = [run for text in texts for run in self._search(experiment_id, text)]
        return [run for run in found if keys is None or run.key in keys]


def _tracked(run: Any, metrics: bool = False) -> TrackedRun:
    """A `TrackedRun` from a run of MLflow's client."""
    info = run.info
    values = {name: value for name, value in run.data.metrics.items() if metrics and not math.isnan(value)}
    return TrackedRun(info.run_id, info.status, info.end_time or 0, info.artifact_uri, dict(run.data.tags), values)
