"""What is written on a run beside its numbers: parameters, tags, where the code stood."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import cache

from farback.measures.retention import RetentionMeasure
from farback.stores.run_metrics import legal
from farback.stores.views import ASKED
from farback.system.provenance import versions
from farback.trials.trial import Trial

SUPERSEDED = "superseded"  # the kind of a run that another one replaced...
ASIDE = "set aside"  # ...and of one whose result is not to be used
PROVENANCE = "provenance."  # in front of the names of tags


def parameters(trial: Trial) -> dict[str, str]:
    """A trial's parameters and sizes as texts; `cell` is the readable label: MLflow's charts know parameters only."""
    picked = {"bracket": " ".join(map(str, trial.bracket))} if trial.bracket else {}
    lags = {lag for measure in trial.measures if isinstance(measure, RetentionMeasure) for lag in measure.lags}
    asked = {ASKED: " ".join(map(str, sorted(lags)))} if lags else {}
    named = {**trial.parameters(), **trial.architecture.counts, **picked, **asked}
    return {"cell": trial.label, **{legal(name): _text(value) for name, value in named.items()}}


def run_name(trial: Trial) -> str:
    """The run's name in lists."""
    lag = trial.lag if trial.train_lags == "fixed" else trial.train_lags
    return f"{trial.label}, lag {lag}, seed {trial.seed}"


def trial_tags(trial: Trial, owner: str) -> dict[str, str]:
    """The tags of a trial's run when it starts."""
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
    """The task as MLflow's dataset fields: the same task has the same name and digest."""
    source = json.dumps(trial.task.spec(), sort_keys=True)
    return {"name": trial.task.name, "digest": trial.task.digest(), "source_type": "farback task", "source": source}


def provenance(said: dict[str, str]) -> dict[str, str]:
    """What a result says of itself, as tags: it may come from another machine than the driver's."""
    return {f"{PROVENANCE}{legal(name)}": text for name, text in said.items() if name != "pid"}


def provenance_of(tags: Mapping[str, str]) -> dict[str, str]:
    """The inverse, from all tags of a run."""
    return {name.removeprefix(PROVENANCE): text for name, text in tags.items() if name.startswith(PROVENANCE)}


def driver_tags() -> dict[str, str]:
    """Versions and commit of the process that records."""
    return {**{f"version.{name}": text for name, text in versions().items()}, **commit()}


@cache
def commit() -> dict[str, str]:
    """The commit that the current directory stands at, "-dirty" when files differ from it; nothing outside git."""
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
