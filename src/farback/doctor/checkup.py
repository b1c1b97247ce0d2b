"""A checkup of a whole store: its files, the runs and results of its experiments, and the database of studies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farback.doctor import files, runs
from farback.doctor.issues import Issue, Repair
from farback.doctor.results import results
from farback.doctor.trial_keys import TrialsOf, config_trials
from farback.experiment import Sweep
from farback.records.counted_nouns import counted
from farback.records.user_error import UserError, choices
from farback.report.provenance_note import distinct_sets
from farback.stores import descriptions, locations, redaction
from farback.stores.client import Client, now, quiet
from farback.stores.queries import RunLookup
from farback.stores.retries import Retries, StoreFault, reason
from farback.stores.run_metadata import provenance_of
from farback.system import provenance

ROUNDS = 5  # rounds of checking and repairing, since a repair may reveal another issue


@dataclass(frozen=True)
class Target:
    """What to check."""

    uri: str
    storage: str  # URI of the studies
    root: Path  # the project's directory, with its configs
    experiment: str = ""  # empty for all
    trials_of: TrialsOf = Sweep.trials  # the trials of a sweep, with those that adaptive lags chose


@dataclass(frozen=True)
class Checkup:
    """The issues found, the issues that were repaired, and how many trials and experiments were checked."""

    issues: list[Issue] = field(default_factory=list)
    repaired: list[Issue] = field(default_factory=list)
    trials: int = 0
    experiments: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether all issues are notes."""
        return all(issue.severity == "note" for issue in self.issues)


def check(target: Target, repair: bool = False) -> Checkup:
    """Check a store. With `repair`, also repair it; the issues returned are then the ones that remain.

    Raises:
        UserError: the store or the experiment does not exist.
    """
    with quiet():
        checkup, client = _checked(target)
        repaired: list[Issue] = []
        failed: list[Issue] = []
        for _ in range(ROUNDS if repair else 0):
            done, failed = _repaired(checkup.issues, client)
            if not done:
                break
            repaired += done
            checkup, client = _checked(target)
    return Checkup([*checkup.issues, *failed], repaired, checkup.trials, checkup.experiments)


def _checked(target: Target) -> tuple[Checkup, Client | None]:
    """One round of checks, and the client; None where the store cannot be opened."""
    path = locations.database(target.uri)
    if path and not path.exists():
        raise UserError(f"nothing is recorded yet in {locations.named(target.uri)}: {locations.BEGIN}")
    issues = list(files.database(path)) if path else []
    client, trials, experiments = None, 0, list[Any]()
    if not issues:
        try:
            client = Client(redaction.signed_in(target.uri), Retries(target.uri, 0.0), target.root)
            experiments = _experiments(client, target.experiment)
        except Exception as error:  # from MLflow, a database driver or the network
            if isinstance(error, UserError) and not isinstance(error, StoreFault):
                raise
            remedy = "check the address, that the server runs, and MLflow's version; nothing was changed"
            what = f"MLflow cannot open it: {reason(error)}"
            issues = [Issue("error", "database", what, locations.named(target.uri), "", remedy)]
            client = None
        else:
            for experiment in experiments:
                count, found = _experiment(target, client, experiment)
                trials, issues = trials + count, issues + found
    issues += files.studies(target.storage)
    return Checkup(issues, trials=trials, experiments=len(experiments)), client


def _experiments(client: Client, name: str) -> list[Any]:
    """The experiments that farback recorded and nobody deleted; a server may have others."""
    recorded = {str(each.name): each for each in client.experiments() if descriptions.NOTE in each.tags}
    if name and name not in recorded:
        known = choices(name, sorted(recorded)) if recorded else "nothing is recorded"
        raise UserError(f"no experiment {name!r} is recorded: {known}")
    return [recorded[each] for each in sorted(recorded) if name in ("", each)]


def _experiment(target: Target, client: Client, experiment: Any) -> tuple[int, list[Issue]]:
    """The number of an experiment's finished trials, and its issues."""
    name = str(experiment.name)
    everything = RunLookup(client).every(experiment.experiment_id)
    trials = runs.TrialRuns.among(everything)
    reported = {run.key for run in everything if run.tags.get("phase") == "report"}
    named, config = config_trials(target.root, name, target.storage, reported, target.trials_of)
    issues = [
        *runs.unfinished(trials, name),
        *runs.untagged(everything, name),
        *runs.summaries(everything, name),
        *results(trials, named, name, client, provenance.versions()["farback"]),
    ]
    unusable = {repair.run_id for issue in issues if issue.severity == "error" for repair in issue.repairs}
    readable = runs.TrialRuns.among([run for run in everything if run.run_id not in unusable])
    issues += runs.duplicates(readable, name)
    issues += runs.not_in_config(trials, named, name, config)
    issues += _versions(trials, name)
    return len(trials.finished), issues


def _versions(trials: runs.TrialRuns, name: str) -> Iterator[Issue]:
    """Note trials recorded with other versions than the installed ones: results may differ in their last bits."""
    recorded = [provenance.deciding(provenance_of(run.tags)) for run in trials.finished.values()]
    for versions, count in distinct_sets(recorded, provenance.versions()):
        listed = ", ".join(f"{package} {version}" for package, version in versions.items())
        yield Issue("note", "versions", f"{counted(count, 'trial')} made by {listed}", "", name)


def _repaired(issues: Iterable[Issue], client: Client | None) -> tuple[list[Issue], list[Issue]]:
    """Repair issues: returns those that were repaired, and a new one for each repair that failed."""
    done, failed = [], []
    for issue in issues:
        try:
            written = [_write(repair, client) for repair in issue.repairs if client is not None]
        except Exception as error:  # such as a full disk: the other repairs may still work
            what = f"the repair failed: {reason(error)}"
            failed.append(Issue("error", "repair", what, issue.where, issue.experiment, "run the repair again"))
        else:
            done += [issue] if written and all(written) else []
    return done, failed


def _write(repair: Repair, client: Client) -> bool:
    """Write tags and metrics; False where a metric has a later step, whose value MLflow would still show."""
    last_steps = {point.name: point.step for point in reversed(repair.points)}
    for name, last in last_steps.items():
        if any(old.step > last for old in client.mlflow.get_metric_history(repair.run_id, name)):
            return False
    milliseconds = now()
    client.log(repair.run_id, [(point, milliseconds) for point in repair.points], tags=repair.tags)
    return True
