"""The MLflow store: every trial is one MLflow run, without nested runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from typing_extensions import override

from farback.stores import descriptions, locations, redaction, result_files, run_metadata
from farback.stores.base import Recorded, Recorder, Store, announced, checked_name, tidy
from farback.stores.client import Client, TagBoard, now, quiet
from farback.stores.leases import BEAT_SECONDS, SILENT_SECONDS, Heartbeat, Leases
from farback.stores.queries import RunLookup, TrackedRun, newest
from farback.stores.retries import SECONDS, Retries, StoreFault
from farback.stores.run_metrics import legal, points
from farback.stores.run_writer import Attached, RunWriter
from farback.stores.summaries import Summaries
from farback.stores.views import SearchViews, write_views
from farback.system import processes
from farback.trials.events import Failed, Finished, Pruned, Recordable
from farback.trials.trial import Trial

READERS = 8  # threads that read artifacts
DIGEST = "farback.digest"  # tag of a summary run: of all that farback wrote to it
WRITTEN = "farback.written"  # tag of a summary run: the names of the files and tags that farback wrote, as JSON


class MLflow(Store):
    """Records in an MLflow tracking store: SQLite by default, any database or server by URI."""

    def __init__(
        self,
        uri: str | None = None,
        *,
        retry_seconds: float = SECONDS,
        silent_seconds: float = SILENT_SECONDS,
        reading: bool = False,
        project: Path | None = None,
    ) -> None:
        """Open a store; an SQLite file is created if it does not exist.

        Args:
            uri: `sqlite:///FILE`, `http://HOST:PORT`, another database; by default MLFLOW_TRACKING_URI, else the
                SQLite file in `results/store` of the project.
            retry_seconds: how long to retry while a server does not answer or a database is locked.
            silent_seconds: a driver on another machine counts as dead after this time without a heartbeat.
            reading: import MLflow and check the database only when its tables are not as expected, or when something
                is written: this saves seconds.
            project: its folder, by default the one that contains the current directory; artifacts of runs that a
                database on a server has are in `results/store/artifacts` there.

        Raises:
            UserError: the URI names a folder.
            StoreFault: the database is not MLflow's, belongs to another version of MLflow, or is read-only.
        """
        self.uri = redaction.signed_in(locations.located(uri, project))
        self.project, self.client = project, Client(self.uri, Retries(self.uri, retry_seconds), project)
        self.lookup, self.summaries = RunLookup(self.client), Summaries(self.client)
        if not (reading and self.lookup.has_database):
            _ = self.client.bare  # raises now
        self.silent_seconds = silent_seconds
        self._made: dict[str, dict[str, str]] = {}  # the provenance of the results read so far, by run

    @override
    def begin(
        self,
        experiment: str,
        trials: Iterable[Trial] = (),
        *,
        question: str = "",
        config_text: str = "",
        views: SearchViews | None = None,
    ) -> MLflowRecorder:
        with quiet():
            found = self._active(checked_name(experiment))
            if found is None:
                experiment_id = self.client.create_experiment(
                    experiment, locations.artifacts(self.uri, experiment, self.project)
                )
            else:
                experiment_id = str(found.experiment_id)
                self.client.artifacts.local(f"{found.artifact_location}/run/artifacts")  # raises before any training
            recorder = MLflowRecorder(self, experiment, experiment_id)
            recorder.add(trials, views)
            descriptions.describe(self.client.mlflow, experiment_id, question, config_text)
        return recorder

    @override
    def finished(self, experiment: str, keys: Iterable[str]) -> set[str]:
        with quiet():
            experiment_id = self._id(experiment)
            ended = self.lookup.ended(experiment_id, set(keys)) if experiment_id else ()
        return {run.key for run in ended if run.status == "FINISHED"}

    @override
    def has_running(self, experiment: str) -> bool:
        with quiet():
            experiment_id = self._id(experiment)
            return experiment_id is not None and bool(self.lookup.running(experiment_id))

    @override
    def frame(self, experiment: str) -> pd.DataFrame:
        with quiet(), ThreadPoolExecutor(READERS) as pool:
            return tidy(pool.map(self._recorded, self._newest(experiment).values()))

    @override
    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        with quiet(), ThreadPoolExecutor(READERS) as pool:
            finished = self._newest(experiment)
            list(pool.map(self._recorded, (run for run in finished.values() if run.run_id not in self._made)))
        return {key: self._made[run.run_id] for key, run in finished.items()}

    @override
    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Sequence[Path] = (),
        question: str = "",
        config_text: str = "",
    ) -> None:
        with quiet():
            experiment_id = self._id(experiment)
            if experiment_id is None:
                raise ValueError(f"nothing is recorded of {experiment!r} in {locations.named(self.uri)}")
            digest = _digest((note, question, config_text, metrics or {}, tags or {}), files)
            known, artifacts = self.lookup.summary(experiment_id, DIGEST)
            if known == digest and self.client.artifacts.has(artifacts, [path.name for path in files]):
                return
            run = self.summaries.open(experiment_id, {legal(name) for name in metrics or {}})
            earlier = _written(run.data.tags)
            written = {"files": [path.name for path in files], "tags": [legal(name) for name in tags or {}]}
            self.client.artifacts.replace(run.info.artifact_uri, files, earlier["files"])
            changed = [point for point in points(metrics or {}, 0) if run.data.metrics.get(point.name) != point.value]
            milliseconds, text = now(), descriptions.summary(note, run.info.run_id, files)
            values = [(point, milliseconds) for point in changed]
            texts = {legal(name): value for name, value in (tags or {}).items()}
            for gone in (earlier["tags"] & set(run.data.tags)) - set(texts):
                self.client.mlflow.delete_tag(run.info.run_id, gone)
            texts |= {descriptions.NOTE: text, WRITTEN: json.dumps(written), DIGEST: digest}
            self.client.log(run.info.run_id, values, tags=texts)
            self.client.mlflow.set_terminated(run.info.run_id, "FINISHED")
            descriptions.describe(self.client.mlflow, experiment_id, question, config_text, run.info.run_id)
            self.summaries.keep_one(experiment_id)

    def _recorded(self, run: TrackedRun) -> Recorded:
        """The exact result of a finished run."""
        try:
            about, table = self.client.artifacts.read(run.artifacts, (result_files.RESULT, result_files.SCORES))
            recorded = result_files.read(about, table)
            if recorded.columns["key"] != run.key:
                raise result_files.Damaged(f"they are of trial {recorded.columns['key']}, not of {run.key}")
            self._made[run.run_id] = {name: text for name, text in recorded.provenance.items() if name != "pid"}
            return recorded
        except (OSError, result_files.Damaged) as error:
            place = f"run {run.run_id} in {locations.named(self.uri)}"
            advice = "`farback doctor --repair` sets the run aside, and the next run trains the trial again"
            raise StoreFault(f"cannot read the scores of {place} ({error}); if they are lost, {advice}") from error

    def _newest(self, experiment: str) -> dict[str, TrackedRun]:
        """The newest finished run of each trial of an experiment, by key."""
        experiment_id = self._id(experiment)
        return newest(self.lookup.ended(experiment_id) if experiment_id else ())

    def _id(self, experiment: str) -> str | None:
        """The id of an experiment; None where it does not exist."""
        experiment_id, stage = self.lookup.experiment(experiment) or (None, "active")
        _check_stage(experiment, stage)
        return experiment_id

    def _active(self, experiment: str) -> Any:
        """MLflow's record of an experiment; None where it does not exist."""
        found = self.client.mlflow.get_experiment_by_name(experiment)
        _check_stage(experiment, "active" if found is None else found.lifecycle_stage)
        return found


def _check_stage(experiment: str, stage: str) -> None:
    if stage != "active":
        raise ValueError(
            f"experiment {experiment!r} was deleted in MLflow: restore it there, or erase it with `mlflow gc`"
        )


def _digest(texts: tuple[object, ...], files: Sequence[Path]) -> str:
    """A digest of what is written to a summary run."""
    made = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
    for path in files:
        made.update(f"{path.name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return made.hexdigest()


def _written(tags: Mapping[str, str]) -> dict[str, set[str]]:
    """The names of the files and tags that farback wrote to a summary run; none where its tag is unreadable."""
    try:
        recorded = json.loads(tags.get(WRITTEN, "{}"))
        return {kind: {str(name) for name in recorded.get(kind, ())} for kind in ("files", "tags")}
    except (ValueError, TypeError, AttributeError):
        return {"files": set(), "tags": set()}


class MLflowRecorder(Recorder):
    """One experiment of an MLflow store, open for this driver."""

    def __init__(self, store: MLflow, experiment: str, experiment_id: str) -> None:
        self.store, self.experiment, self.experiment_id = store, experiment, experiment_id
        self.client, self.lookup = store.client, store.lookup
        self.writer = RunWriter(self.client, self.lookup)
        self.trials: dict[str, Trial] = {}
        self.attached: dict[str, Attached] = {}
        self._views_are_old: bool | None = None  # None: none were written yet
        self.leases = Leases(TagBoard(self.client, experiment_id), store.silent_seconds)
        self._heartbeat = Heartbeat(self.leases.beat, min(BEAT_SECONDS, store.silent_seconds / 10))
        self._end_orphans()

    @override
    def add(self, trials: Iterable[Trial], views: SearchViews | None = None) -> None:
        new = {trial.key: trial for trial in trials}
        self.trials |= new
        for key in new:
            self.attached.pop(key, None)
        self._views_are_old = not views and self._views_are_old is not None  # trials were added since the first call
        if not self._views_are_old:
            self._write_views(views)

    @override
    def lease(self, keys: Iterable[str]) -> set[str]:
        self._heartbeat.start()
        requested = list(keys)
        with quiet():
            granted = self.client.retries.call(lambda: self.leases.take(requested))
            if self.leases.dead:
                self._end_orphans()
            ended = self.lookup.ended(self.experiment_id, granted)
            finished = {run.key for run in ended if run.status == "FINISHED"}
            if finished:  # another driver finished them before this one leased them
                self.release(finished)
        return granted - finished

    @override
    def release(self, keys: Iterable[str]) -> None:
        released = list(keys)
        with quiet():
            self.client.retries.call(lambda: self.leases.release(released))

    @override
    def put(self, event: Recordable) -> None:
        trial = announced(self.trials, event.key)
        with quiet():
            run = self.writer.open.get(event.key) or self.writer.start(
                self.experiment_id, trial, self.attached.setdefault(event.key, Attached())
            )
            if isinstance(event, Finished):
                self.writer.finish(run, trial, event.result)
                status = "FINISHED"
            elif isinstance(event, Failed):
                self.writer.fail(run, event)
                status = "FAILED"
            elif isinstance(event, Pruned):
                self.writer.prune(run, event)
                status = "KILLED"
            else:
                self.writer.progress(run, event)
                return
            self.client.mlflow.set_terminated(run.run_id, status)
            del self.writer.open[event.key]
            self._supersede([event.key])

    @override
    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        announced(self.trials, key)
        attached = self.attached.setdefault(key, Attached())
        attached.tags |= {legal(name): text for name, text in tags.items()}
        attached.metrics |= metrics or {}
        with quiet():
            run_id = attached.run_id
            if run_id is None:
                finished = newest(self.lookup.ended(self.experiment_id, [key])).get(key)
                run_id = finished.run_id if finished else None
            if run_id is not None:
                self.client.log(run_id, attached.points(), tags=attached.tags)

    @override
    def close(self) -> None:
        self._heartbeat.stop()
        with quiet():
            killed = list(self.writer.open)
            self.writer.kill()
            self._supersede(killed)
            if self._views_are_old:
                self._write_views()
            self.client.retries.call(self.leases.close)

    @override
    def abandon(self) -> None:
        with self.client.retries.off():
            try:
                self.close()
            except StoreFault:  # it was reported already, and the next driver ends the runs that are left
                self.writer.open = {}

    def _write_views(self, views: SearchViews | None = None) -> None:
        with quiet():
            parameters = (run_metadata.parameters(trial) for trial in self.trials.values())
            write_views(self.client.mlflow, self.experiment_id, self.trials, parameters, views)

    def _end_orphans(self) -> None:
        """End the runs that dead drivers left running."""
        self.client.retries.call(self.leases.look)
        dead, self.leases.dead = self.leases.dead, set()
        own = {run.run_id for run in self.writer.open.values()}
        ended = []
        for run in self.lookup.running(self.experiment_id):
            owner = run.tags.get("owner", "")
            if run.run_id not in own and (owner in dead or processes.is_dead(owner)):
                self.client.log(run.run_id, tags={"status": "killed", "killed": f"its driver {owner} is gone"})
                self.client.artifacts.sweep(run.artifacts)
                self.client.mlflow.set_terminated(run.run_id, "KILLED")
                ended.append(run.key)
        self._supersede(ended)

    def _supersede(self, keys: Collection[str]) -> None:
        """Let one ended run of each trial count: the newest finished run, or else the newest run.

        The other runs keep their data and get another `kind`, so that views leave them out.
        """
        ended: dict[str, list[TrackedRun]] = {}
        for run in self.lookup.ended(self.experiment_id, keys):
            ended.setdefault(run.key, []).append(run)
        finished = newest(run for runs in ended.values() for run in runs)
        for key, runs in ended.items():
            counts = finished.get(key) or max(runs, key=lambda run: run.age)
            for run in runs:
                if run is not counts:
                    self.client.mlflow.set_tag(run.run_id, "kind", run_metadata.SUPERSEDED)
