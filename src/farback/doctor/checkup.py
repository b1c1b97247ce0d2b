"""A checkup of a whole store: its files, every run and result of its experiments, and the studies beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farback.doctor import files, runs
from farback.doctor.config_keys import config_trials
from farback.doctor.issues import Issue, LogPoints, Repair, SetTag, counted
from farback.doctor.results import ResultReader, results
from farback.records.record import UserError, choices
from farback.report.provenance_note import sets
from farback.stores import descriptions, locations, queries
from farback.stores.client import connect
from farback.stores.retries import StoreFault
from farback.stores.run_tags import provenance_of
from farback.system import provenance

ROUNDS = 5  # of checking and repairing: a repair may uncover more, but not without end


@dataclass(frozen=True)
class Target:
    """What is checked.

    Attributes:
        uri: of the store.
        storage: URI of the studies.
        root: the project's directory, for its configs.
        experiment: its name; "" for all.
    """

    uri: str
    storage: str
    root: Path
    experiment: str = ""


@dataclass(frozen=True)
class Checkup:
    """What was found, and how much was checked."""

    issues: list[Issue] = field(default_factory=list)
    repaired: list[Issue] = field(default_factory=list)
    trials: int = 0
    experiments: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong; there may be notes."""
        return all(issue.severity == "note" for issue in self.issues)


def check(target: Target, repair: bool = False) -> Checkup:
    """Check a store, and repair what is safe if asked to; then the issues are those that remain.

    Raises:
        UserError: there is no store, or no such experiment in it.
    """
    found, client = _checked(target)
    repaired: list[Issue] = []
    failed: list[Issue] = []
    for _ in range(ROUNDS if repair else 0):
        done, failed = _repaired(found.issues, client)
        if not done:
            break
        repaired += done
        found, client = _checked(target)
    return Checkup([*found.issues, *failed], repaired, found.trials, found.experiments)


def _checked(target: Target) -> tuple[Checkup, Any]:
    """One round, and the client that was used; None where the store cannot be opened."""
    path = locations.database(target.uri)
    if path and not path.exists():
        raise UserError(f"nothing is recorded yet in {locations.shown(target.uri)}: {locations.BEGIN}")
    found: list[Issue] = []
    broken = list(files.database(path)) if path else []
    client, trials, experiments = None, 0, list[Any]()
    if not broken:
        try:
            client = connect(target.uri)
            experiments = _experiments(client, target.experiment)
        except UserError as error:
            if not isinstance(error, StoreFault):
                raise
            broken = [_unusable(target, error)]
        except Exception as error:  # whatever MLflow, a driver or the network raises
            broken = [_unusable(target, error)]
        for experiment in experiments:
            count, own = _experiment(target, client, experiment)
            trials, found = trials + count, found + own
    found += [*broken, *files.studies(target.storage)]
    return Checkup(found, trials=trials, experiments=len(experiments)), None if broken else client


def _experiments(client: Any, name: str) -> list[Any]:
    """Those that farback made and that were not deleted; a server may have others."""
    found, token = [], None
    while True:
        page = client.search_experiments(page_token=token)
        found += [one for one in page if descriptions.NOTE in one.tags]
        token = page.token
        if not token:
            break
    if name and name not in {one.name for one in found}:
        there = choices(name, sorted(one.name for one in found)) if found else "nothing is recorded"
        raise UserError(f"no experiment {name!r} is recorded: {there}")
    return sorted((one for one in found if name in ("", one.name)), key=lambda one: str(one.name))


def _experiment(target: Target, client: Any, experiment: Any) -> tuple[int, list[Issue]]:
    """The number of finished trials of an experiment, and what was found."""
    name, experiment_id = str(experiment.name), str(experiment.experiment_id)
    everything = queries.every_run(target.uri, client, experiment_id)
    trials = runs.TrialRuns.of(everything)
    reported = {run.key for run in everything if run.tags.get("phase") == "report"}
    own, config = config_trials(target.root, name, target.storage, reported)
    installed = provenance.versions()["farback"]
    found = [
        *runs.unfinished(trials, name),
        *runs.untagged(everything, name),
        *results(trials, own, name, ResultReader(target.uri, client), installed),
    ]
    unusable = {repair.run_id for issue in found if issue.severity == "error" for repair in issue.repairs}
    readable = runs.TrialRuns.of([run for run in everything if run.run_id not in unusable])
    found += runs.duplicates(readable, name)
    found += runs.not_in_config(trials, own, name, config)
    found += _versions(trials, name)
    path, tables = locations.database(target.uri), queries.runs(target.uri)
    folder = locations.local(experiment.artifact_location, target.uri)
    if path and folder and tables:
        here = folder if folder.exists() else path.parent / "artifacts" / name
        found += files.artifacts(here, tables.ids(), name)
    return len(trials.standing), found


def _versions(trials: runs.TrialRuns, name: str) -> Iterator[Issue]:
    """Other versions than those installed, or several: not wrong, but results may differ in their last bits."""
    made = [provenance.deciding(provenance_of(run.tags)) for run in trials.standing.values()]
    for versions, count in sets(made, provenance.versions()):
        by = ", ".join(f"{what} {value}" for what, value in versions.items())
        yield Issue("note", "versions", f"{counted(count, 'trial')} made by {by}", "", name)


def _unusable(target: Target, error: Exception) -> Issue:
    first = str(error).splitlines()[0] if str(error) else repr(error)
    remedy = "nothing was changed; check the address, that the server runs, and MLflow's version"
    if "schema" in first:  # of an SQLite file or a server's database, in MLflow's words
        first = first.partition("Take a backup")[0].strip()
        remedy = "install the version of MLflow that made it, or back it up and run `mlflow db upgrade`"
    what = f"MLflow cannot open it: {locations.shown(first)}"
    return Issue("error", "database", what, locations.shown(target.uri), "", remedy)


def _repaired(issues: Iterable[Issue], client: Any) -> tuple[list[Issue], list[Issue]]:
    """Carry out what is safe: the issues that were repaired, and a new one for each repair that failed."""
    done, failed = [], []
    for issue in issues:
        try:
            outcomes = [_carried_out(repair, client) for repair in issue.repairs]
        except Exception as error:  # a full disk, a server that is gone: the other repairs may still work
            reason = locations.shown(str(error).splitlines()[0]) if str(error) else repr(error)
            what = f"could not be repaired: {reason}"
            failed.append(Issue("error", "repair", what, issue.where, issue.experiment, "repair again"))
        else:
            done += [issue] if outcomes and all(outcomes) else []
    return done, failed


def _carried_out(repair: Repair, client: Any) -> bool:
    """Carry out a repair; False where something has changed since the check."""
    if isinstance(repair, SetTag):
        client.set_tag(repair.run_id, repair.name, repair.value)
        return True
    return _logged(repair, client)


def _logged(repair: LogPoints, client: Any) -> bool:
    """Log points again, unless MLflow would not show them: the last value is that of the largest step."""
    names = {point.name: point.step for point in reversed(repair.points)}
    for name, last in names.items():
        if any(old.step > last for old in client.get_metric_history(repair.run_id, name)):
            return False
    now = time.time_ns() // 1_000_000
    for point in repair.points:
        client.log_metric(repair.run_id, point.name, point.value, timestamp=now, step=point.step)
    return True
