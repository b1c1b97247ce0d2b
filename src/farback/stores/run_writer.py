"""Writes the MLflow runs of trials: curves during training, and the result at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from farback.stores import result_files, run_metadata
from farback.stores.base import score_rows
from farback.stores.client import Client, now
from farback.stores.queries import RunLookup
from farback.stores.run_metrics import Point, closing, points
from farback.system import processes
from farback.trials.events import Failed, Progress, Pruned, TrialResult
from farback.trials.trial import Trial

FLUSH_SECONDS = 2.0  # least time between writes of progress
FLUSH_RATIO = 10  # the time between writes is at least this multiple of the last write's duration
FLUSH_POINTS = 5000  # points in memory that cause a write
ERROR_CHARACTERS = 1000  # most characters of an error in its tag; the traceback is a file


@dataclass
class OpenRun:
    """A run of a trial that has not ended."""

    run_id: str
    artifacts: str
    buffered: list[tuple[Point, int]] = field(default_factory=list)  # points with their time in ms
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Attached:
    """The tags and metrics attached to a trial, and its run in this recorder."""

    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None

    def points(self) -> list[tuple[Point, int]]:
        """The metrics with the present time."""
        milliseconds = now()
        return [(point, milliseconds) for point in points(self.metrics, 0)]


class RunWriter:
    """Writes runs from start to result; the recorder ends them."""

    def __init__(self, client: Client, lookup: RunLookup) -> None:
        self.client, self.lookup = client, lookup
        self.open: dict[str, OpenRun] = {}
        self._flush_at = 0.0

    def start(self, experiment_id: str, trial: Trial, attached: Attached) -> OpenRun:
        """Create a run for a trial."""
        owner = processes.identity()

        def find() -> str | None:
            """Find our run of this trial: the server may have created it although its answer was lost."""
            runs = [run for run in self.lookup.running(experiment_id) if run.tags.get("owner") == owner]
            return next((run.run_id for run in runs if run.key == trial.key), None)

        tags = run_metadata.trial_tags(trial, owner) | attached.tags
        name = run_metadata.run_name(trial, attached.tags.get(run_metadata.SETTING_VALUES, ""))
        created = self.client.create_run(experiment_id, tags, name, find)
        run = OpenRun(created.info.run_id, created.info.artifact_uri)
        attached.run_id = run.run_id
        self.client.log(run.run_id, attached.points(), attached.tags | run_metadata.parameters(trial))
        self.client.log_dataset(run.run_id, run_metadata.dataset(trial))
        self.open[trial.key] = run
        return run

    def progress(self, run: OpenRun, event: Progress) -> None:
        """Buffer values, and write them now and then."""
        milliseconds = now()
        run.buffered += [(point, milliseconds) for point in points(event.metrics, event.step)]
        for name, value in event.metrics.items():
            run.curves.setdefault(name, []).append(value)
        buffered = sum(len(each.buffered) for each in self.open.values())
        if buffered >= FLUSH_POINTS or time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write the buffered progress of every open run."""
        began = time.monotonic()
        for run in self.open.values():
            if run.buffered:
                self.client.log(run.run_id, run.buffered)
                run.buffered = []
        ended = time.monotonic()
        self._flush_at = ended + max(FLUSH_SECONDS, FLUSH_RATIO * (ended - began))

    def finish(self, run: OpenRun, trial: Trial, result: TrialResult) -> None:
        """Write a result, the exact scores first, so that every run with the status FINISHED has them."""
        self.client.artifacts.write(run.artifacts, result_files.written(trial.columns(), result))
        milliseconds = now()
        ending = [(point, milliseconds) for point in closing(score_rows(result.scores), run.curves)]
        tags = {"status": result.status, **run_metadata.provenance(result.provenance)}
        tags |= run_metadata.horizon(result.scores)
        self.client.log(run.run_id, run.buffered + ending, tags=tags)

    def fail(self, run: OpenRun, event: Failed) -> None:
        """Write the error of a trial that could not be trained."""
        if event.traceback:
            self.client.artifacts.write(run.artifacts, {"traceback.txt": event.traceback.encode()})
        tags = {"status": "failed", "error": event.error[:ERROR_CHARACTERS] or "unknown"}
        self.client.log(run.run_id, run.buffered, tags=tags)

    def prune(self, run: OpenRun, event: Pruned) -> None:
        """Write that a search pruned the trial."""
        self.client.log(run.run_id, run.buffered, tags={"status": "pruned", "updates": str(event.step)})

    def kill(self) -> None:
        """End every open run as killed."""
        self.flush()
        for run in self.open.values():
            self.client.mlflow.set_terminated(run.run_id, "KILLED")
        self.open = {}
