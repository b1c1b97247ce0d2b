"""The one summary run of each experiment, also where several drivers write one at the same moment."""

from __future__ import annotations

from typing import Any

from farback.stores import descriptions, run_metadata
from farback.stores.client import Client
from farback.system import processes


class Summaries:
    """The summary runs of a store."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def all(self, experiment_id: str) -> list[Any]:
        """The summary runs of an experiment, complete ones first; the first counts."""
        found = self.client.search(experiment_id, "tags.kind = 'summary'")
        return sorted(found, key=lambda run: (run.info.status != "FINISHED", run.info.run_id))

    def open(self, experiment_id: str, names: set[str]) -> Any:
        """The summary run; a new one if there is none, or if it has metrics that are no longer among `names`."""
        for run in self.all(experiment_id):
            if set(run.data.metrics) <= names:
                return run
            self.client.mlflow.delete_run(run.info.run_id)  # MLflow cannot remove a single metric
        tags = {"kind": "summary", "cell": "summary", "owner": processes.identity(), **run_metadata.driver_tags()}
        return self.client.create_run(experiment_id, tags, "summary")

    def keep_one(self, experiment_id: str) -> None:
        """Let one summary run count, if several drivers created one at the same moment.

        Each driver does this after it completed its own, so the last of them sees all. A run that its driver is still
        writing stays: that driver does the same.
        """
        counts, *others = self.all(experiment_id)
        for run in others:
            if run.info.status == "FINISHED" or processes.is_dead(run.data.tags.get("owner", "")):
                self.client.mlflow.set_tag(run.info.run_id, "kind", run_metadata.SUPERSEDED)
        if others:
            descriptions.describe(self.client.mlflow, experiment_id, summary=counts.info.run_id)
