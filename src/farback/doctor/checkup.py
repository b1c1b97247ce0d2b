"""Looking at a whole store: its files, every run and result of its experiments, and the studies beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farback.doctor import files, runs
from farback.doctor.config_keys import named
from farback.doctor.findings import Finding, counted
from farback.doctor.repairs import mend
from farback.doctor.results import Place, results
from farback.doctor.studies import studies
from farback.records.record import UserError, choices
from farback.report.provenance_note import sets
from farback.stores import client as tracking
from farback.stores import descriptions, locations, queries
from farback.stores.retries import StoreFault
from farback.stores.run_tags import provenance_of
from farback.system import provenance

ROUNDS = 5  # of looking and mending: what is mended first may show more, but not without end


@dataclass(frozen=True)
class Patient:
    """What is looked at.

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

    @property
    def folder(self) -> Path:
        """Where the store keeps files beside its database."""
        path = locations.database(self.uri)
        return path.parent if path else self.root / "results" / "store"


@dataclass(frozen=True)
class Examination:
    """What was found, and how much was looked at."""

    findings: list[Finding] = field(default_factory=list)
    mended: list[Finding] = field(default_factory=list)
    trials: int = 0
    experiments: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong: there may be things to know."""
        return all(finding.severity == "note" for finding in self.findings)


def examine(patient: Patient, repair: bool = False) -> Examination:
    """Look at a store, and mend what is safe where that is asked for; then the findings are those that remain.

    Raises:
        UserError: there is no store, or no such experiment in it.
    """
    found, client = _looked(patient)
    mended: list[Finding] = []
    failed: list[Finding] = []
    for _ in range(ROUNDS if repair else 0):
        done, failed = mend(found.findings, client)
        if not done:
            break
        mended += done
        found, client = _looked(patient)
    return Examination([*found.findings, *failed], mended, found.trials, found.experiments)


def _looked(patient: Patient) -> tuple[Examination, Any]:
    """One look, and the client that was used; None where the store cannot be opened."""
    path = locations.database(patient.uri)
    found = list(files.half_made(path)) if path else []
    if path and not path.exists() and not found:
        raise UserError(f"nothing is recorded yet in {locations.shown(patient.uri)}: {locations.BEGIN}")
    broken = list(files.database(path)) if path and path.exists() else []
    client, trials, names = None, 0, []
    if not broken and (path is None or path.exists()):
        try:
            client = tracking.client(patient.uri)
            experiments = _experiments(client, patient.experiment)
        except StoreFault as error:
            client, experiments = None, []
            broken = [_closed(patient, error)]
        except UserError:
            raise
        except Exception as error:  # whatever MLflow, a driver or the network raises
            client, experiments = None, []
            broken = [_closed(patient, error)]
        for experiment in experiments:
            count, own = _experiment(patient, client, experiment)
            names.append(experiment.name)
            trials, found = trials + count, found + own
    found += [*broken, *studies(patient.storage, patient.experiment)]
    return Examination(found, trials=trials, experiments=len(names)), client


def _experiments(client: Any, name: str) -> list[Any]:
    """Ours among the experiments that were not deleted; a server may have others."""
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


def _experiment(patient: Patient, client: Any, experiment: Any) -> tuple[int, list[Finding]]:
    """The number of finished trials of an experiment, and what was found."""
    name, experiment_id = str(experiment.name), str(experiment.experiment_id)
    everything = queries.every_run(patient.uri, client, experiment_id)
    trials = runs.Trials.of(everything)
    reported = {run.key for run in everything if run.tags.get("phase") == "report"}
    theirs, config = named(patient.root, name, patient.storage, reported)
    place = Place(patient.uri, client)
    found = [
        *runs.unfinished(trials, name),
        *runs.lost(everything, name),
        *results(trials, theirs, name, place, provenance.versions()["farback"]),
    ]
    aside = {each.run_id for finding in found if finding.severity == "error" for each in _runs(finding)}
    readable = runs.Trials.of([run for run in everything if run.run_id not in aside])
    found += runs.duplicates(readable, name)
    found += runs.unnamed(trials, theirs, name, config)
    found += _versions(trials, name)
    found += files.checkpoints(patient.folder, readable, name)
    path, tables = locations.database(patient.uri), queries.runs(patient.uri)
    folder = locations.local(experiment.artifact_location, patient.uri)
    if path and folder and tables:
        here = folder if folder.exists() else path.parent / "artifacts" / name
        found += files.artifacts(here, tables.ids(), name)
    return len(trials.standing), found


def _runs(finding: Finding) -> Iterator[Any]:
    """The steps of a finding that are about runs."""
    return (each for each in finding.mends if hasattr(each, "run_id"))


def _versions(trials: runs.Trials, name: str) -> Iterator[Finding]:
    """Other versions than those installed, or several: nothing is wrong with them, but bits may differ."""
    made = [provenance.deciding(provenance_of(run.tags)) for run in trials.standing.values()]
    for said, count in sets(made, provenance.versions()):
        by = ", ".join(f"{what} {value}" for what, value in said.items())
        yield Finding("note", "versions", f"{counted(count, 'trial')} made by {by}", "", name)


def _closed(patient: Patient, error: Exception) -> Finding:
    first = str(error).splitlines()[0] if str(error) else repr(error)
    remedy = "nothing was changed; check the address, that the server runs, and MLflow's version"
    if "schema" in first:  # of an SQLite file or a server's database, in MLflow's words
        first = first.partition("Take a backup")[0].strip()
        remedy = "install the version of MLflow that made it, or back it up and run `mlflow db upgrade`"
    what = f"MLflow cannot open it: {locations.shown(first)}"
    return Finding("error", "database", what, locations.shown(patient.uri), "", remedy)
