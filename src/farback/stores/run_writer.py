"""Writes the MLflow runs of the trials that are training: curves as they grow, and the result at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from farback.stores import result_files, run_tags
from farback.stores.client import Client, now
from farback.stores.queries import Lookup
from farback.stores.run_metrics import Point, closing, points
from farback.system import processes
from farback.trials.events import Failed, Progress, Pruned, TrialResult
from farback.trials.trial import Trial

FLUSH_SECONDS = 2.0  # between writes of progress, so that the UI is live...
FLUSH_SHARE = 10  # ...and at least so many times what the last write took, so that the driver has time for its work
FLUSH_POINTS = 5000  # in memory before a write
ERROR_CHARACTERS = 1000  # of an error in its tag; the traceback has a file


@dataclass
class OpenRun:
    """A run that is being written."""

    run_id: str
    artifacts: str
    waiting: list[tuple[Point, int]] = field(default_factory=list)  # with the time, in ms
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Attached:
    """Tags and metrics that were attached to a trial, and the run that it has in this recorder."""

    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None

    def points(self) -> list[tuple[Point, int]]:
        """The metrics, as of now."""
        at = now()
        return [(point, at) for point in points(self.metrics, 0)]


class RunWriter:
    """Writes runs from their start to their result; ending them is left to the recorder."""

    def __init__(self, client: Client, lookup: Lookup) -> None:
        self.client, self.lookup = client, lookup
        self.open: dict[str, OpenRun] = {}
        self._flush_at = 0.0

    def start(self, experiment_id: str, trial: Trial, attached: Attached) -> OpenRun:
        """Create a run for a trial."""
        me = processes.identity()

        def find() -> Any:
            """A run of ours for this trial that is not in `open`: the server made it, but its answer was lost."""
            known = {run.run_id for run in self.open.values()}
            running = [run for run in self.lookup.running(experiment_id) if run.info.run_id not in known]
            ours = [run for run in running if run.data.tags.get("owner") == me]
            return next((run for run in ours if run.data.tags.get("farback.key") == trial.key), None)

        tags = run_tags.trial_tags(trial, me) | attached.tags
        created = self.client.create_run(experiment_id, tags, run_tags.run_name(trial), find)
        run = OpenRun(created.info.run_id, created.info.artifact_uri)
        attached.run_id = run.run_id
        self.client.log(run.run_id, attached.points(), attached.tags | run_tags.parameters(trial))
        self.client.log_dataset(run.run_id, run_tags.dataset(trial))
        self.open[trial.key] = run
        return run

    def progress(self, run: OpenRun, event: Progress) -> None:
        """Buffer values, and write them from time to time."""
        at = now()
        run.waiting += [(point, at) for point in points(event.metrics, event.step)]
        for name, value in event.metrics.items():
            run.curves.setdefault(name, []).append(value)
        waiting = sum(len(each.waiting) for each in self.open.values())
        if waiting >= FLUSH_POINTS or time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write the buffered progress of every open run."""
        began = time.monotonic()
        for run in self.open.values():
            if run.waiting:
                self.client.log(run.run_id, run.waiting)
                run.waiting = []
        ended = time.monotonic()
        self._flush_at = ended + max(FLUSH_SECONDS, FLUSH_SHARE * (ended - began))

    def finish(self, run: OpenRun, trial: Trial, result: TrialResult) -> None:
        """Write a result: the exact scores first, so that a run whose status is FINISHED is whole."""
        self.client.store_files(run.artifacts, result_files.written(trial.columns(), result))
        at = now()
        ending = [(point, at) for point in closing(result_files.rows(result.scores), run.curves)]
        tags = {"status": result.status, **run_tags.provenance(result.provenance)}
        self.client.log(run.run_id, run.waiting + ending, tags=tags)

    def fail(self, run: OpenRun, event: Failed) -> None:
        """Write why a trial could not be trained."""
        if event.traceback:
            self.client.store_files(run.artifacts, {"traceback.txt": event.traceback.encode()})
        tags = {"status": "failed", "error": event.error[:ERROR_CHARACTERS] or "unknown"}
        self.client.log(run.run_id, run.waiting, tags=tags)

    def prune(self, run: OpenRun, event: Pruned) -> None:
        """Write that a search gave the trial up."""
        self.client.log(run.run_id, run.waiting, tags={"status": "pruned", "updates": str(event.step)})

    def kill(self) -> None:
        """End every open run as killed."""
        self.flush()
        for run in self.open.values():
            self.client.mlflow.set_terminated(run.run_id, "KILLED")
        self.open = {}
