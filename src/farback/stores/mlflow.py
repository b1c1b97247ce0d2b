"""The store that people browse: every trial a flat MLflow run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from farback.stores import descriptions, locations, queries, redaction, result_files, views
from farback.stores import run_tags as tags
from farback.stores.base import Overtaken, Recorded, Store, checked_name, tidy
from farback.stores.client import Tracking, now, quiet
from farback.stores.leases import Holding, Lease
from farback.stores.queries import Lookup, Past
from farback.stores.retries import SECONDS, Patience, StoreFault
from farback.stores.run_metrics import legal, points
from farback.stores.run_writer import Recording, Run, Said
from farback.stores.views import SearchViews
from farback.system import processes
from farback.trials.events import Ended, Entry, Failed, Finished, Stopped
from farback.trials.trial import Trial

READERS = 8  # artifacts fetched at once


class MLflow(Store):
    """Records in an MLflow tracking store: SQLite by default, any database or server by URI."""

    def __init__(
        self, uri: str | None = None, *, patience_seconds: float = SECONDS, lease: Lease | None = None
    ) -> None:
        """Open a store; an SQLite file is made if it is not there.

        Args:
            uri: `sqlite:///FILE`, `http://HOST:PORT`, another database; by default MLFLOW_TRACKING_URI, else the
                SQLite file in `results/store` below the current directory.
            patience_seconds: for which a server that is gone, or a database that is locked, is waited for.
            lease: how long another driver on another machine may be silent before its trials are taken over.

        Raises:
            UserError: a plain folder.
            StoreFault: it cannot be used: what is there is no store or one of another version, or may not be written.
        """
        self.uri = redaction.signed_in(locations.located(uri))
        self._tracking = Tracking(self.uri, Patience(self.uri, patience_seconds))
        self.client = self._tracking.client
        self._lookup = Lookup(self._tracking)
        self._lease = lease or Lease()
        self._recording = Recording(self._tracking, self._lookup)
        self._holding: Holding | None = None
        self.experiment = ""
        self._ids: dict[str, str] = {}
        self._trials: dict[str, Trial] = {}
        self._said: dict[str, Said] = {}
        self._past: dict[str, list[Past]] = {}

    def begin(
        self,
        experiment: str,
        trials: Sequence[Trial],
        *,
        question: str = "",
        config_text: str = "",
        study: SearchViews | None = None,
    ) -> None:
        """See Store."""
        if experiment != self.experiment:
            self.close()
            self._trials, self._past, self._said = {}, {}, {}
        with quiet():
            experiment_id = self._id(checked_name(experiment)) or self._created(experiment)
            self.experiment = experiment
            begun = {trial.key: trial for trial in trials}
            self._trials |= begun
            self._said = {key: said for key, said in self._said.items() if key not in begun}
            self._holding = self._holding or Holding(self._tracking, experiment_id, self._lease)
            self._close_orphans(self._holding.dead())
            parameters = (tags.parameters(trial) for trial in self._trials.values())
            views.write(self.client, experiment_id, self._trials, parameters, study)
            descriptions.describe(self.client, experiment_id, question, config_text)

    def finished(self, keys: Iterable[str]) -> set[str]:
        """See Store."""
        keys = list(keys)
        with quiet():
            self._look_up(keys)
        return {key for key in keys if any(run.status == "FINISHED" for run in self._past[key])}

    def claim(self, keys: Iterable[str]) -> set[str]:
        """See Store."""
        holding, wanted = self._held(), list(keys)
        with quiet():
            granted = holding.take(wanted)
            if dead := holding.found_dead():
                self._close_orphans(dead)
            done = self.finished(granted) if granted else set()  # another driver may have ended them before we came
            if done:
                holding.release(done)
        return granted - done

    def release(self, keys: Iterable[str]) -> None:
        """See Store."""
        holding, given = self._held(), list(keys)
        with quiet():
            holding.release(given)

    def _held(self) -> Holding:
        if self._holding is None:
            raise ValueError("call begin first")
        return self._holding

    def put(self, event: Entry) -> None:
        """See Store."""
        if event.key not in self._trials:
            raise ValueError(f"{event.key} is none of the trials that {self.experiment or 'the experiment'} began with")
        with quiet():
            if isinstance(event, Ended) and self._holding is not None and self._holding.lost(event.key):
                self._recording.overtaken(event.key)
                raise Overtaken(f"trial {event.key} was taken over by another driver while this one was silent")
            run = self._recording.open.get(event.key) or self._start(self._trials[event.key])
            if isinstance(event, Finished):
                self._recording.finish(run, self._trials[event.key], event.result)
                self._end(run, event.key, "FINISHED")
            elif isinstance(event, Failed):
                self._recording.fail(run, event)
                self._end(run, event.key, "FAILED")
            elif isinstance(event, Stopped):
                self._recording.stop(run, event)
                self._end(run, event.key, "KILLED")
            else:
                self._recording.progress(run, event)

    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        """See Store."""
        if key not in self._trials:
            raise ValueError(f"{key} is none of the trials that {self.experiment or 'the experiment'} began with")
        said = self._said.setdefault(key, Said())
        said.tags |= {legal(name): text for name, text in tags.items()}
        said.metrics |= metrics or {}
        with quiet():
            whole = [run for run in self._history(key) if run.status == "FINISHED"]
            run_id = said.run_id or (max(whole, key=queries.age).run_id if whole else None)
            if run_id is not None:
                self._tracking.batch(run_id, said.points(), named=said.tags)

    def frame(self, experiment: str) -> pd.DataFrame:
        """See Store.

        Raises:
            StoreFault: a finished run's scores cannot be read.
        """
        with quiet():
            experiment_id = self._id(experiment)
            newest = queries.newest(self._lookup.ended(experiment_id) if experiment_id else ())
            with ThreadPoolExecutor(READERS) as pool:
                return tidy(pool.map(self._recorded, newest.values()))

    def provenance(self, experiment: str) -> dict[str, dict[str, str]]:
        """See Store."""
        with quiet():
            experiment_id = self._id(experiment)
            found = queries.every_run(self.uri, self.client, experiment_id, metrics=False) if experiment_id else []
        standing = queries.newest(run.past for run in found if run.kind == "trial")
        said = {run.run_id: run.tags for run in found}
        return {key: tags.provenance_of(said[past.run_id]) for key, past in standing.items()}

    def summarise(
        self,
        experiment: str,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        """See Store."""
        with quiet():
            experiment_id = self._id(experiment)
            if experiment_id is None:
                raise ValueError(f"nothing is recorded of {experiment!r} in {locations.shown(self.uri)}")
            run = self._summary(experiment_id, {legal(name) for name in metrics or {}})
            self._tracking.replace_files(run.info.artifact_uri, files)
            old_values = run.data.metrics
            changed = [p for p in points(metrics or {}, 0) if old_values.get(p.name) != p.value]
            at, said = now(), descriptions.summary(note, run.info.run_id, files)
            self._tracking.batch(run.info.run_id, [(p, at) for p in changed], named={descriptions.NOTE: said})
            self.client.set_terminated(run.info.run_id, "FINISHED")
            descriptions.describe(self.client, experiment_id, summary=run.info.run_id)

    def close(self) -> None:
        """See Store."""
        with quiet():
            self._recording.kill()
            if self._holding is not None:
                self._holding.close()
        self._holding = None

    def abandon(self) -> None:
        """See Store."""
        self._tracking.patience.seconds = 0.0
        try:
            self.close()
        except StoreFault:  # it has been said already; the next driver closes what is left
            self._recording.open, self._holding = {}, None

    # Runs of trials

    def _start(self, trial: Trial) -> Run:
        return self._recording.start(self._ids[self.experiment], trial, self._said.setdefault(trial.key, Said()))

    def _end(self, run: Run, key: str, status: str) -> None:
        """End a run, and take those that it replaces out of the views: they stay, with another `kind`."""
        self.client.set_terminated(run.run_id, status)
        del self._recording.open[key]
        ours = Past(key, run.run_id, status, now(), run.artifacts)
        if self._holding is not None and not self._holding.sure:  # we slept: another driver may have ended it, too
            self._look_up([key])
            ours = next((past for past in self._history(key) if past.run_id == run.run_id), ours)
        others = [past for past in self._history(key) if past.run_id != run.run_id]
        whole = [past for past in others if past.status == "FINISHED"]
        standing = max([ours, *whole], key=queries.age) if status == "FINISHED" else ours
        kept = [standing] if status == "FINISHED" else [*whole, ours]
        for past in [*others, ours]:
            if past not in kept:
                self.client.set_tag(past.run_id, "kind", tags.SUPERSEDED)
        self._past[key] = kept

    def _close_orphans(self, dead: Collection[str]) -> None:
        """End the runs that dead drivers left running: those that are gone from this machine, and those named."""
        for run in self._lookup.running(self._ids[self.experiment]):
            owner = run.data.tags.get("owner", "")
            if owner in dead or processes.is_dead(owner):
                said = {"status": "killed", "killed": f"its driver {owner} is gone"}
                self._tracking.batch(run.info.run_id, named=said)
                self._tracking.sweep_files(run.info.artifact_uri)
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _history(self, key: str) -> list[Past]:
        """The ended runs of a trial of this experiment."""
        if key not in self._past:
            self._look_up([key])
        return self._past[key]

    def _look_up(self, keys: Collection[str]) -> None:
        """Read the ended runs of trials of this experiment."""
        self._past |= {key: [] for key in keys}
        for run in self._lookup.ended(self._ids[self.experiment], keys):
            self._past[run.key].append(run)

    def _recorded(self, run: Past) -> Recorded:
        """The exact result of a finished run."""
        try:
            about, table = self._tracking.read_files(run.artifacts, (result_files.RESULT, result_files.SCORES))
            return result_files.read(about, table)
        except (OSError, result_files.Damaged) as error:
            place = f"run {run.run_id} in {locations.shown(self.uri)}"
            mend = "if they are lost, `farback doctor --repair` sets the run aside, and the next run trains it again"
            raise StoreFault(f"the scores of {place} cannot be read ({error}): {mend}") from error

    # The experiment

    def _id(self, experiment: str) -> str | None:
        """The id of an experiment, if there is one."""
        if experiment not in self._ids:
            found = self.client.get_experiment_by_name(experiment)
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
        self._ids[experiment] = self._tracking.create_experiment(experiment, artifacts)
        return self._ids[experiment]

    def _summary(self, experiment_id: str, names: set[str]) -> Any:
        """The summary run, new where there is none or where it has metrics that are no longer among `names`."""
        for run in self._tracking.search(experiment_id, "tags.kind = 'summary'"):
            if set(run.data.metrics) <= names:
                return run
            self.client.delete_run(run.info.run_id)  # MLflow cannot take a single metric away
        named = {"kind": "summary", "cell": "summary", "owner": processes.identity(), **tags.driver_tags()}
        return self._tracking.create_run(experiment_id, named, "summary")
