"""The runs of the trials that are under way, as MLflow shows them: curves while they grow, and how they ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from farback.stores import result_files
from farback.stores import run_tags as tags
from farback.stores.client import Tracking, now
from farback.stores.queries import Lookup
from farback.stores.run_metrics import Point, closing, points
from farback.system import processes
from farback.trials.events import Failed, Progress, Stopped, TrialResult
from farback.trials.trial import Trial

FLUSH_SECONDS = 2.0  # between writes of progress, so that the UI is live...
FLUSH_SHARE = 10  # ...and at least so many times what the last write took: the driver must not drown in writing
FLUSH_POINTS = 5000  # in memory before a write
ERROR_CHARACTERS = 1000  # of an error in its tag; the traceback has a file


@dataclass
class Run:
    """A run being written."""

    run_id: str
    artifacts: str
    waiting: list[tuple[Point, int]] = field(default_factory=list)  # with the time, in ms
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Said:
    """What was said of a trial since it was begun, and the run that it then got."""

    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None

    def points(self) -> list[tuple[Point, int]]:
        """The numbers, as of now."""
        at = now()
        return [(point, at) for point in points(self.metrics, 0)]


class Recording:
    """Writes runs from their start until what they came to is written; to end them is the store's."""

    def __init__(self, tracking: Tracking, lookup: Lookup) -> None:
        self.tracking, self.lookup = tracking, lookup
        self.open: dict[str, Run] = {}
        self._flush_at = 0.0

    def start(self, experiment_id: str, trial: Trial, said: Said) -> Run:
        """A new run for a trial."""
        me = processes.identity()

        def found() -> Any:
            """Our run of the trial that we do not know of: the server made it and went before it answered."""
            known = {run.run_id for run in self.open.values()}
            running = [run for run in self.lookup.running(experiment_id) if run.info.run_id not in known]
            ours = [run for run in running if run.data.tags.get("owner") == me]
            return next((run for run in ours if run.data.tags.get("farback.key") == trial.key), None)

        named = tags.trial_tags(trial, me) | said.tags
        created = self.tracking.create_run(experiment_id, named, tags.name(trial), found)
        run = Run(created.info.run_id, created.info.artifact_uri)
        said.run_id = run.run_id
        self.tracking.batch(run.run_id, said.points(), said.tags | tags.parameters(trial))
        self.tracking.log_dataset(run.run_id, tags.dataset(trial))
        self.open[trial.key] = run
        return run

    def progress(self, run: Run, event: Progress) -> None:
        """Keep values on the way, and write them now and then."""
        at = now()
        run.waiting += [(point, at) for point in points(event.metrics, event.step)]
        for name, value in event.metrics.items():
            run.curves.setdefault(name, []).append(value)
        waiting = sum(len(each.waiting) for each in self.open.values())
        if waiting >= FLUSH_POINTS or time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write the waiting progress of every open run."""
        began = time.monotonic()
        for run in self.open.values():
            if run.waiting:
                self.tracking.batch(run.run_id, run.waiting)
                run.waiting = []
        ended = time.monotonic()
        self._flush_at = ended + max(FLUSH_SECONDS, FLUSH_SHARE * (ended - began))

    def finish(self, run: Run, trial: Trial, result: TrialResult) -> None:
        """Write the exact scores first: a run that says FINISHED is whole."""
        self.tracking.store_files(run.artifacts, result_files.written(trial.columns(), result))
        at = now()
        ending = [(point, at) for point in closing(result_files.rows(result.scores), run.curves)]
        said = {"status": result.status, **tags.provenance(result.provenance)}
        self.tracking.batch(run.run_id, run.waiting + ending, named=said)

    def fail(self, run: Run, event: Failed) -> None:
        """Write why a trial could not be carried out."""
        if event.traceback:
            self.tracking.store_files(run.artifacts, {"traceback.txt": event.traceback.encode()})
        said = {"status": "failed", "error": event.error[:ERROR_CHARACTERS] or "unknown"}
        self.tracking.batch(run.run_id, run.waiting, named=said)

    def stop(self, run: Run, event: Stopped) -> None:
        """Write that a trial was given up."""
        self.tracking.batch(run.run_id, run.waiting, named={"status": "pruned", "updates": str(event.step)})

    def overtaken(self, key: str) -> None:
        """Close the run of a trial that is another driver's now."""
        run = self.open.pop(key, None)
        if run is not None:
            self.tracking.batch(run.run_id, named={"kind": "superseded", "status": "overtaken"})
            self.tracking.client.set_terminated(run.run_id, "KILLED")

    def kill(self) -> None:
        """Close what is open."""
        self.flush()
        for run in self.open.values():
            self.tracking.client.set_terminated(run.run_id, "KILLED")
        self.open = {}
