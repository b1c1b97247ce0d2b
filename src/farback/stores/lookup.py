"""Which runs of trials a tracking store holds, asked as fast as its backend allows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from farback.stores import queries
from farback.stores.queries import Past
from farback.stores.tracking import Tracking

FEW = 20  # trials that are asked for one by one; MLflow's search names more of them faster by listing all runs
ENDED = "tags.kind = 'trial' and attributes.status != 'RUNNING'"
RUNNING = "tags.kind = 'trial' and attributes.status = 'RUNNING'"


class Lookup:
    """Asks the database where it is at hand, else MLflow's own search, which is slower."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self._runs = queries.runs(tracking.uri)

    def running(self, experiment_id: str) -> list[Any]:
        """The trial runs of an experiment that have not ended."""
        from sqlalchemy.exc import SQLAlchemyError

        if self._runs is not None:
            try:
                return [self.tracking.client.get_run(run_id) for run_id in self._runs.running(experiment_id)]
            except SQLAlchemyError:  # as in `ended`
                pass
        return list(self.tracking.search(experiment_id, RUNNING))

    def ended(self, experiment_id: str, keys: Collection[str] | None = None) -> list[Past]:
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
        found = [run for more in each for run in self.tracking.search(experiment_id, ENDED + more)]
        past = [
            Past(run.data.tags["farback.key"], info.run_id, info.status, info.end_time or 0, info.artifact_uri)
            for run in found
            if (info := run.info)
        ]
        return past if wanted is None else [run for run in past if run.key in wanted]
