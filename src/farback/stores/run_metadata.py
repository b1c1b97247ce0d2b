"""The name, parameters, tags and dataset of a trial's run in MLflow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import cache

import pandas as pd

from farback.measures.retention import RetentionMeasure
from farback.stats import first_failure
from farback.stores.run_metrics import legal
from farback.stores.views import HORIZON, TEST_LAGS
from farback.system.provenance import versions
from farback.trials.trial import Trial

SETTING_VALUES = "values"  # tag and parameter: what a search chose, as text
SUPERSEDED = "superseded"  # value of the tag `kind` for a run that another run of its trial replaced
ASIDE = "set aside"  # value of the tag `kind` for a run with a damaged result
PROVENANCE = "provenance."  # prefix of tags


def parameters(trial: Trial) -> dict[str, str]:
    """A trial's parameters and sizes as texts; `cell` is the label, since MLflow's charts use parameters only."""
    lags = {lag for measure in trial.measures if isinstance(measure, RetentionMeasure) for lag in measure.lags}
    texts = {TEST_LAGS: " ".join(map(str, sorted(lags)))} if lags else {}
    texts |= dict(zip(("role", "tuned"), trial.role, strict=True)) if trial.role else {}
    named = {**trial.parameters(), **trial.architecture.counts, **texts}
    return {"cell": trial.label, **{legal(name): _text(value) for name, value in named.items()}}


def run_name(trial: Trial, values: str = "") -> str:
    """The name of a trial's run; `values` are those that a search chose for it."""
    lag = trial.lag if trial.train_lags == "fixed" else trial.train_lags
    parts = (trial.label, f"lag {lag}" if trial.task.has_lags else "", values, f"seed {trial.seed}")
    return ", ".join(filter(None, parts))


def horizon(scores: pd.DataFrame) -> dict[str, str]:
    """A tag with a network's horizon as text, such as "20 to 40" or "at least 320"; empty if it was not tested."""
    tested = scores[(scores["measure"] == "retention") & (scores["statistic"] == "success") & (scores["lag"] >= 0)]
    last = tested[tested["step"] == tested["step"].max()]
    if last.empty:
        return {}
    return {HORIZON: str(first_failure(last["lag"].tolist(), (last["value"] > 0).tolist()).horizon)}


def trial_tags(trial: Trial, owner: str) -> dict[str, str]:
    """The tags that a trial's run gets when it starts."""
    return {
        "kind": "trial",
        "cell": trial.label,
        "farback.key": trial.key,
        "farback.shape": trial.shape,
        "farback.group": trial.group,
        "owner": owner,
        "mlflow.source.name": "farback",
        "mlflow.source.type": "LOCAL",
        **driver_tags(),
    }


def dataset(trial: Trial) -> dict[str, str]:
    """A trial's task as the fields of an MLflow dataset: equal tasks have equal names and digests.

    Finite data also have a profile: what they are, and the measured score of a model without memory.
    """
    task = trial.task
    source = json.dumps(task.spec(), sort_keys=True)
    fields = {"name": task.name, "digest": task.digest(), "source_type": "farback task", "source": source}
    if about := task.about():
        chance = task.chance()
        measured = {"about": about, "chance_accuracy": chance.accuracy, "chance_loss": chance.loss}
        fields["profile"] = json.dumps(measured, sort_keys=True)
    return fields


def provenance(recorded: dict[str, str]) -> dict[str, str]:
    """A result's provenance as tags; it may differ from the driver's, since workers may run on other machines."""
    return {f"{PROVENANCE}{legal(name)}": text for name, text in recorded.items() if name != "pid"}


def provenance_of(tags: Mapping[str, str]) -> dict[str, str]:
    """A result's provenance, from all tags of its run."""
    return {name.removeprefix(PROVENANCE): text for name, text in tags.items() if name.startswith(PROVENANCE)}


def driver_tags() -> dict[str, str]:
    """Tags with the software versions and the git commit of this process."""
    return {**{f"version.{name}": text for name, text in versions().items()}, **commit()}


@cache
def commit() -> dict[str, str]:
    """A tag with the current directory's git commit, and "-dirty" if files were changed; empty outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"git.commit": head + ("-dirty" if changed else "")}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _text(value: str | int | float | bool | None) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"
