"""The store that people browse: every trial is a flat MLflow run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from typing_extensions import override

from farback.stores import descriptions, locations, queries, redaction, result_files, run_tags
from farback.stores.base import Recorded, Recorder, Store, checked_name, tidy
from farback.stores.client import Client, TagBoard, now, quiet
from farback.stores.leases import BEAT_SECONDS, SILENT_SECONDS, Heartbeat, Leases
from farback.stores.queries import EndedRun, Lookup
from farback.stores.retries import SECONDS, Retries, StoreFault
from farback.stores.run_metrics import legal, points
from farback.stores.run_writer import Attached, OpenRun, RunWriter
from farback.stores.views import SearchViews, write_views
from farback.system import processes
from farback.trials.events import Failed, Finished, Pruned, Recordable
from farback.trials.trial import Trial

READERS = 8  # artifacts fetched at once


class MLflow(Store):
    """Records in an MLflow tracking store: SQLite by default, any database or server by URI."""

    def __init__(
        self, uri: str | None = None, *, retry_seconds: float = SECONDS, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        """Open a store; an SQLite file is made if it is not there.

        Args:
            uri: `sqlite:///FILE`, `http://HOST:PORT`, another database; by default MLFLOW_TRACKING_URI, else the
                SQLite file in `results/store` below the current directory.
            retry_seconds: how long to retry while a server does not answer or a database is locked.
            silent_seconds: without a heartbeat, after which a driver on another machine counts as dead.

        Raises:
            UserError: a plain folder.
            StoreFault: it cannot be used: not a store, one of another version, or read-only.
        """
        self.uri = redaction.signed_in(locations.located(uri))
        self.client = Client(self.uri, Retries(self.uri, retry_seconds))
        self.lookup = Lookup(self.client)
        self.silent_seconds = silent_seconds
        self._ids: dict[str, str] = {}

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
            experiment_id = self._id(checked_name(experiment)) or self._created(experiment)
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
    def frame(self, experiment: str) -> pd.DataFrame:
        """As every store's.

        Raises:
            StoreFault: a finished run's scores cannot be read.
        """
        with quiet():
            experiment_id = self._id(experiment)
            newest = queries.newest(self.lookup.ended(experiment_id) if experiment_id else ())
            with ThreadPoolExecutor(READERS) as pool:
                return tidy(pool.map(self._recorded, newest.values()))

    @override
    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        with quiet():
            experiment_id = self._id(experiment)
            runs = (
                queries.every_run(self.uri, self.client.mlflow, experiment_id, metrics=False) if experiment_id else []
            )
        newest = queries.newest(run.as_ended for run in runs if run.kind == "trial")
        tags = {run.run_id: run.tags for run in runs}
        return {key: run_tags.provenance_of(tags[run.run_id]) for key, run in newest.items()}

    @override
    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        with quiet():
            experiment_id = self._id(experiment)
            if experiment_id is None:
                raise ValueError(f"nothing is recorded of {experiment!r} in {locations.shown(self.uri)}")
            run = self._summary(experiment_id, {legal(name) for name in metrics or {}})
            self.client.replace_files(run.info.artifact_uri, files)
            old_values = run.data.metrics
            changed = [p for p in points(metrics or {}, 0) if old_values.get(p.name) != p.value]
            at, text = now(), descriptions.summary(note, run.info.run_id, files)
            self.client.log(run.info.run_id, [(p, at) for p in changed], tags={descriptions.NOTE: text})
            self.client.mlflow.set_terminated(run.info.run_id, "FINISHED")
            descriptions.describe(self.client.mlflow, experiment_id, summary=run.info.run_id)

    def _recorded(self, run: EndedRun) -> Recorded:
        """The exact result of a finished run."""
        try:
            about, table = self.client.read_files(run.artifacts, (result_files.RESULT, result_files.SCORES))
            return result_files.read(about, table)
        except (OSError, result_files.Damaged) as error:
            place = f"run {run.run_id} in {locations.shown(self.uri)}"
            advice = "`farback doctor --repair` sets the run aside, and the next run trains it again"
            raise StoreFault(f"cannot read the scores of {place} ({error}); if they are lost, {advice}") from error

    def _id(self, experiment: str) -> str | None:
        """The id of an experiment, if there is one."""
        if experiment not in self._ids:
            found = self.client.mlflow.get_experiment_by_name(experiment)
            if found is None:
                return None
            if found.lifecycle_stage != "active":
                raise ValueError(
                    f"experiment {experiment!r} was deleted in MLflow: restore it there, or erase it with `mlflow gc`"
                )
            self._ids[experiment] = found.experiment_id
        return self._ids[experiment]

    def _created(self, experiment: str) -> str:
        artifacts = locations.artifacts(self.uri, experiment)
        self._ids[experiment] = self.client.create_experiment(experiment, artifacts)
        return self._ids[experiment]

    def _summary(self, experiment_id: str, names: set[str]) -> Any:
        """The summary run; a new one if there is none, or if it has metrics that are no longer among `names`."""
        for run in self.client.search(experiment_id, "tags.kind = 'summary'"):
            if set(run.data.metrics) <= names:
                return run
            self.client.mlflow.delete_run(run.info.run_id)  # MLflow cannot remove a single metric
        tags = {"kind": "summary", "cell": "summary", "owner": processes.identity(), **run_tags.driver_tags()}
        return self.client.create_run(experiment_id, tags, "summary")


class MLflowRecorder(Recorder):
    """One experiment of an MLflow store, open for this driver.

    Args:
        store: the store.
        experiment: its name.
        experiment_id: MLflow's.
    """

    def __init__(self, store: MLflow, experiment: str, experiment_id: str) -> None:
        self.store, self.experiment, self.experiment_id = store, experiment, experiment_id
        self.client, self.lookup = store.client, store.lookup
        self.writer = RunWriter(self.client, self.lookup)
        self.trials: dict[str, Trial] = {}
        self.attached: dict[str, Attached] = {}
        self._ended: dict[str, list[EndedRun]] = {}  # runs of trials that have ended, as far as they were looked up
        self.leases = Leases(TagBoard(self.client, experiment_id), store.silent_seconds)
        self._heartbeat = Heartbeat(self.leases.beat, min(BEAT_SECONDS, store.silent_seconds / 10))
        self._end_orphans()

    @override
    def add(self, trials: Iterable[Trial], views: SearchViews | None = None) -> None:
        new = {trial.key: trial for trial in trials}
        self.trials |= new
        for key in new:
            self.attached.pop(key, None)
        with quiet():
            parameters = (run_tags.parameters(trial) for trial in self.trials.values())
            write_views(self.client.mlflow, self.experiment_id, self.trials, parameters, views)

    @override
    def lease(self, keys: Iterable[str]) -> set[str]:
        self._heartbeat.start()
        wanted = list(keys)
        with quiet():
            granted = self.client.retries.call(lambda: self.leases.take(wanted))
            if self.leases.dead:
                self._end_orphans()
            self._look_up(granted)
            finished = {key for key in granted if any(run.status == "FINISHED" for run in self._ended[key])}
            if finished:  # another driver finished them before we took them
                self.release(finished)
        return granted - finished

    @override
    def release(self, keys: Iterable[str]) -> None:
        given = list(keys)
        with quiet():
            self.client.retries.call(lambda: self.leases.release(given))

    @override
    def put(self, event: Recordable) -> None:
        trial = self._announced(event.key)
        with quiet():
            run = self.writer.open.get(event.key) or self.writer.start(
                self.experiment_id, trial, self.attached.setdefault(event.key, Attached())
            )
            if isinstance(event, Finished):
                self.writer.finish(run, trial, event.result)
                self._end(run, event.key, "FINISHED")
            elif isinstance(event, Failed):
                self.writer.fail(run, event)
                self._end(run, event.key, "FAILED")
            elif isinstance(event, Pruned):
                self.writer.prune(run, event)
                self._end(run, event.key, "KILLED")
            else:
                self.writer.progress(run, event)

    @override
    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        self._announced(key)
        attached = self.attached.setdefault(key, Attached())
        attached.tags |= {legal(name): text for name, text in tags.items()}
        attached.metrics |= metrics or {}
        with quiet():
            finished = [run for run in self._history(key) if run.status == "FINISHED"]
            run_id = attached.run_id or (max(finished, key=queries.age).run_id if finished else None)
            if run_id is not None:
                self.client.log(run_id, attached.points(), tags=attached.tags)

    @override
    def close(self) -> None:
        self._heartbeat.stop()
        with quiet():
            killed = list(self.writer.open)
            self.writer.kill()
            self._supersede(killed)
            self.client.retries.call(self.leases.close)

    @override
    def abandon(self) -> None:
        retries = self.client.retries
        seconds, retries.seconds = retries.seconds, 0.0
        try:
            self.close()
        except StoreFault:  # it was reported already; the next driver ends what is left
            self.writer.open = {}
        finally:
            retries.seconds = seconds  # the store may be used again

    def _announced(self, key: str) -> Trial:
        if key not in self.trials:
            raise ValueError(f"{key} is none of the trials that were announced for {self.experiment}")
        return self.trials[key]

    def _end(self, run: OpenRun, key: str, status: str) -> None:
        """End a run."""
        self.client.mlflow.set_terminated(run.run_id, status)
        del self.writer.open[key]
        self._supersede([key])

    def _end_orphans(self) -> None:
        """End the runs that dead drivers left running."""
        self.client.retries.call(self.leases.look)
        dead, self.leases.dead = self.leases.dead, set()
        ours = {run.run_id for run in self.writer.open.values()}
        ended = []
        for run in self.lookup.running(self.experiment_id):
            owner = run.data.tags.get("owner", "")
            if run.info.run_id not in ours and (owner in dead or processes.is_dead(owner)):
                self.client.log(run.info.run_id, tags={"status": "killed", "killed": f"its driver {owner} is gone"})
                self.client.sweep_files(run.info.artifact_uri)
                self.client.mlflow.set_terminated(run.info.run_id, "KILLED")
                ended.append(run.data.tags["farback.key"])
        self._supersede(ended)

    def _supersede(self, keys: Collection[str]) -> None:
        """Of the ended runs of each trial, keep one: the newest finished one, else the newest.

        The others keep their data under another `kind`, so that views leave them out.
        """
        self._look_up(keys)  # again: another driver may have ended one of them
        for key in keys:
            ended = self._ended[key]
            kept = max([run for run in ended if run.status == "FINISHED"] or ended, key=queries.age, default=None)
            for run in ended:
                if run is not kept:
                    self.client.mlflow.set_tag(run.run_id, "kind", run_tags.SUPERSEDED)
            self._ended[key] = [kept] if kept else []

    def _history(self, key: str) -> Collection[EndedRun]:
        """The ended runs of a trial of this experiment."""
        if key not in self._ended:
            self._look_up([key])
        return self._ended[key]

    def _look_up(self, keys: Collection[str]) -> None:
        """Read the ended runs of trials of this experiment."""
        self._ended |= {key: [] for key in keys}
        for run in self.lookup.ended(self.experiment_id, keys) if keys else ():
            self._ended[run.key].append(run)
