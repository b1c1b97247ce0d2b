"""The store that people browse: every trial a flat MLflow run."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from farback.stores import exact, locations, owners, tags, views
from farback.stores.base import Overtaken, Recorded, Store, checked_name, tidy
from farback.stores.beating import Heart
from farback.stores.claims import Claims, Lease
from farback.stores.database import Past
from farback.stores.lookup import Lookup
from farback.stores.metrics import Point, closing, legal, points
from farback.stores.patience import SECONDS, Patience, StoreFault
from farback.stores.tracking import ExperimentBoard, Tracking, now, quiet
from farback.stores.views import Study
from farback.trial import Entry, Failed, Finished, Progress, Stopped, Trial, TrialResult

FLUSH_SECONDS = 2.0  # between writes of progress, so that the UI is live...
FLUSH_SHARE = 10  # ...and at least so many times what the last write took: the driver must not drown in writing
FLUSH_POINTS = 5000  # in memory before a write
READERS = 8  # artifacts fetched at once
ERROR_CHARACTERS = 1000  # of an error in its tag; the traceback has a file


@dataclass
class _Run:
    """A run being written."""

    run_id: str
    artifacts: str
    waiting: list[tuple[Point, int]] = field(default_factory=list)  # with the time, in ms
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class _Said:
    """What was said of a trial since it was begun, and the run that it then got."""

    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None

    def points(self) -> list[tuple[Point, int]]:
        """The numbers, as of now."""
        at = now()
        return [(point, at) for point in points(self.metrics, 0)]


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
        self.uri = locations.located(uri)
        self._tracking = Tracking(self.uri, Patience(self.uri, patience_seconds))
        self.client = self._tracking.client
        self._lookup = Lookup(self._tracking)
        self._lease = lease or Lease()
        self._claims: Claims | None = None
        self._heart: Heart | None = None
        self.experiment = ""
        self._ids: dict[str, str] = {}
        self._trials: dict[str, Trial] = {}
        self._open: dict[str, _Run] = {}
        self._said: dict[str, _Said] = {}
        self._past: dict[str, list[Past]] = {}
        self._flush_at = 0.0

    def begin(
        self,
        experiment: str,
        trials: Sequence[Trial],
        *,
        question: str = "",
        config_text: str = "",
        study: Study | None = None,
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
            if self._claims is None:
                self._claims = Claims(ExperimentBoard(self._tracking, experiment_id), self._lease)
                self._look()
            self._close_orphans(experiment_id)
            parameters = (tags.parameters(trial) for trial in self._trials.values())
            views.write(self.client, experiment_id, self._trials, parameters, study)
            views.describe(self.client, experiment_id, question, config_text)

    def finished(self, keys: Iterable[str]) -> set[str]:
        """See Store."""
        keys = list(keys)
        with quiet():
            self._look_up(keys)
        return {key for key in keys if any(run.status == "FINISHED" for run in self._past[key])}

    def claim(self, keys: Iterable[str]) -> set[str]:
        """See Store."""
        claims, wanted = self._ours(), list(keys)
        with quiet():
            granted = self._tracking.patience.keep(lambda: claims.take(wanted))
            self._bury(claims)
            done = self.finished(granted) if granted else set()  # another driver may have ended them before we came
            if done:
                self.release(done)
        return granted - done

    def release(self, keys: Iterable[str]) -> None:
        """See Store."""
        claims, given = self._ours(), list(keys)
        with quiet():
            self._tracking.patience.keep(lambda: claims.release(given))

    def put(self, event: Entry) -> None:
        """See Store."""
        if event.key not in self._trials:
            raise ValueError(f"{event.key} is none of the trials that {self.experiment or 'the experiment'} began with")
        if isinstance(event, Finished | Failed | Stopped):
            self._check_ours(event.key)
        run = self._open.get(event.key) or self._start(self._trials[event.key])
        if isinstance(event, Finished):
            self._finish(run, event.result)
        elif isinstance(event, Failed):
            self._fail(run, event)
        elif isinstance(event, Stopped):
            self._stop(run, event)
        else:
            self._progress(run, event)

    def tag(self, key: str, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None) -> None:
        """See Store."""
        if key not in self._trials:
            raise ValueError(f"{key} is none of the trials that {self.experiment or 'the experiment'} began with")
        said = self._said.setdefault(key, _Said())
        said.tags |= {legal(name): text for name, text in tags.items()}
        said.metrics |= metrics or {}
        with quiet():
            whole = [run for run in self._history(key) if run.status == "FINISHED"]
            run_id = said.run_id or (max(whole, key=lambda run: run.ended).run_id if whole else None)
            if run_id is not None:
                self._tracking.batch(run_id, said.points(), named=said.tags)

    def frame(self, experiment: str) -> pd.DataFrame:
        """See Store.

        Raises:
            FileNotFoundError: a finished run's scores cannot be read.
        """
        with quiet():
            experiment_id = self._id(experiment)
            newest: dict[str, Past] = {}
            for run in self._lookup.ended(experiment_id) if experiment_id else ():
                if run.status == "FINISHED" and (run.key not in newest or newest[run.key][2:4] < run[2:4]):
                    newest[run.key] = run
            with ThreadPoolExecutor(READERS) as pool:
                return tidy(pool.map(self._recorded, newest.values()))

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
            at = now()
            self._tracking.batch(run.info.run_id, [(p, at) for p in changed], named={"mlflow.note.content": note})
            self.client.set_terminated(run.info.run_id, "FINISHED")
            views.describe(self.client, experiment_id, summary=run.info.run_id)

    def close(self) -> None:
        """See Store."""
        if self._heart is not None:
            self._heart.stop()
        with quiet():
            self._flush()
            for run in self._open.values():
                self.client.set_terminated(run.run_id, "KILLED")
            if self._claims is not None:
                self._tracking.patience.keep(self._claims.close)
        self._open, self._claims, self._heart = {}, None, None

    def abandon(self) -> None:
        """See Store."""
        self._tracking.patience.seconds = 0.0
        try:
            self.close()
        except StoreFault:  # it has been said already; the next driver closes what is left
            self._open, self._claims, self._heart = {}, None, None

    # Which trials are ours

    def _ours(self) -> Claims:
        """The claims of this driver, which from now on gives signs of life."""
        if self._claims is None:
            raise ValueError("call begin first")
        if self._heart is None:
            self._heart = Heart(self._claims.beat, self._lease.beat)
            self._heart.start()
        return self._claims

    def _look(self) -> None:
        """See which other drivers are dead."""
        claims = self._claims
        if claims is not None:
            self._tracking.patience.keep(claims.look)
            self._bury(claims)

    def _bury(self, claims: Claims) -> None:
        """End the runs of drivers that were found dead, on whichever machine they were."""
        if claims.buried:
            self._close_orphans(self._ids[self.experiment], claims.buried)
            claims.buried.clear()

    def _check_ours(self, key: str) -> None:
        """Refuse an outcome of a trial that was ours and is another driver's now."""
        claims = self._claims
        if claims is None:
            return
        with quiet():
            if not self._tracking.patience.keep(lambda: claims.lost(key)):
                return
            run = self._open.pop(key, None)
            if run is not None:
                self._tracking.batch(run.run_id, named={"kind": "superseded", "status": "overtaken"})
                self.client.set_terminated(run.run_id, "KILLED")
        raise Overtaken(f"trial {key} was taken over by another driver while this one was silent")

    # Runs of trials

    @quiet()
    def _start(self, trial: Trial) -> _Run:
        """A new run for a trial."""
        experiment_id, me = self._ids[self.experiment], owners.owner()
        said = self._said.setdefault(trial.key, _Said())

        def found() -> Any:
            """Our run of the trial that we do not know of: the server took the request and went before it answered."""
            known = {run.run_id for run in self._open.values()}
            running = [run for run in self._lookup.running(experiment_id) if run.info.run_id not in known]
            named = [run for run in running if run.data.tags.get("owner") == me]
            return next((run for run in named if run.data.tags.get("farback.key") == trial.key), None)

        named = tags.trial_tags(trial, me) | said.tags
        created = self._tracking.create_run(experiment_id, named, tags.name(trial), found)
        run = _Run(created.info.run_id, created.info.artifact_uri)
        said.run_id = run.run_id
        self._tracking.batch(run.run_id, said.points(), said.tags | tags.parameters(trial))
        self._tracking.log_dataset(run.run_id, tags.dataset(trial))
        self._open[trial.key] = run
        return run

    def _progress(self, run: _Run, event: Progress) -> None:
        at = now()
        run.waiting += [(point, at) for point in points(event.metrics, event.step)]
        for name, value in event.metrics.items():
            run.curves.setdefault(name, []).append(value)
        waiting = sum(len(each.waiting) for each in self._open.values())
        if waiting >= FLUSH_POINTS or time.monotonic() >= self._flush_at:
            self._flush()

    @quiet()
    def _flush(self) -> None:
        """Write the waiting progress of every open run."""
        began = time.monotonic()
        for run in self._open.values():
            if run.waiting:
                self._tracking.batch(run.run_id, run.waiting)
                run.waiting = []
        ended = time.monotonic()
        self._flush_at = ended + max(FLUSH_SECONDS, FLUSH_SHARE * (ended - began))

    @quiet()
    def _finish(self, run: _Run, result: TrialResult) -> None:
        """The exact scores first, the status last: a run that says FINISHED is whole."""
        columns = self._trials[result.key].columns()
        self._tracking.store_files(run.artifacts, lambda folder: exact.write(folder, columns, result))
        at = now()
        ending = [(point, at) for point in closing(result.scores, run.curves)]
        said = {"status": result.status, **tags.provenance(result.provenance)}
        self._tracking.batch(run.run_id, run.waiting + ending, named=said)
        self._end(run, result.key, "FINISHED")

    @quiet()
    def _fail(self, run: _Run, event: Failed) -> None:
        if event.traceback:

            def write(folder: Path) -> None:
                (folder / "traceback.txt").write_text(event.traceback, encoding="utf-8")

            self._tracking.store_files(run.artifacts, write)
        said = {"status": "failed", "error": event.error[:ERROR_CHARACTERS] or "unknown"}
        self._tracking.batch(run.run_id, run.waiting, named=said)
        self._end(run, event.key, "FAILED")

    @quiet()
    def _stop(self, run: _Run, event: Stopped) -> None:
        self._tracking.batch(run.run_id, run.waiting, named={"status": "pruned", "updates": str(event.step)})
        self._end(run, event.key, "KILLED")

    def _end(self, run: _Run, key: str, status: str) -> None:
        """End a run, and take those that it replaces out of the views: they stay, with another `kind`."""
        self.client.set_terminated(run.run_id, status)
        del self._open[key]
        earlier = [past for past in self._history(key) if past.run_id != run.run_id]
        replaced = [past for past in earlier if status == "FINISHED" or past.status != "FINISHED"]
        for past in replaced:
            self.client.set_tag(past.run_id, "kind", "superseded")
        kept = [past for past in earlier if past not in replaced]
        self._past[key] = [*kept, Past(key, run.run_id, status, now(), run.artifacts)]

    def _close_orphans(self, experiment_id: str, dead: Collection[str] = ()) -> None:
        """End the runs that dead drivers left running: those that are gone from this machine, and those named."""
        for run in self._lookup.running(experiment_id):
            owner = run.data.tags.get("owner", "")
            if owner in dead or owners.is_dead(owner):
                said = {"status": "killed", "killed": f"its driver {owner} is gone"}
                self._tracking.batch(run.info.run_id, named=said)
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
            about, table = self._tracking.read_files(run.artifacts, (exact.RESULT, exact.SCORES))
            return exact.read(about.decode(), table.decode())
        except OSError as error:
            place = f"run {run.run_id} in {locations.shown(self.uri)}"
            raise FileNotFoundError(
                f"the scores of {place} cannot be read ({error}): if they are lost, delete the run to train it again"
            ) from error

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
        named = {"kind": "summary", "cell": "summary", "owner": owners.owner(), **tags.versions(), **tags.commit()}
        return self._tracking.create_run(experiment_id, named, "summary")
