"""`farback.frame`: the recorded scores of an experiment as a data frame."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from farback.experiment import Experiment, Search, Sweep
from farback.stores import NothingRecorded, open_store
from farback.stores.base import Store, tidy
from farback.system.project import config_path, found_config, project_folder

CURRENT = "current"

log = logging.getLogger("farback")


def frame(
    experiment: Experiment | str | Path,
    store: Store | str | None = None,
    *,
    all: bool = False,
    storage: str | None = None,
) -> pd.DataFrame:
    """The scores of every finished trial of an experiment, one row per (trial, measure, step, lag, statistic).

    These are the trials of the config as it stands. The store may have more, from before the config was changed or
    from options such as `--set`; with `all` they are returned, too. The trials of a search are those of its studies and
    of their best settings. If lags are adaptive or settings are tuned, there are two more columns: `role` ("choice" or
    "judged"; missing for other trials) and `tuned` (the tuned setting).

    Args:
        experiment: an experiment, or the path or name of its config. The name is enough if the config was deleted: then
            all recorded trials are returned, and a note is logged.
        store: a store or its URI; default: MLFLOW_TRACKING_URI, else the database of the experiment's project,
            which for a name without a config is the project that contains the current directory.
        all: also return the trials that are not of the config as it stands, with a column `current` that is True for
            the trials that are.
        storage: URI of a search's studies, as in `farback.search`.

    Returns:
        An empty frame if nothing is recorded of the experiment. Nothing is written.

    Raises:
        UserError: there is neither a config nor a result of this name; the message has similar names.
    """
    if not isinstance(experiment, Experiment):
        found = found_config(experiment)
        if found is None:
            return _without_config(experiment, store, all)
        experiment = Experiment.load(found)
    scores = recorded(experiment.name, store, experiment.root)
    keys, scores = _of_config(experiment, scores, storage)
    current = scores["key"].isin(keys)
    if all:
        return scores.assign(**{CURRENT: current})
    if len(scores) and not current.any():
        log.warning(
            "no trial of %s as it stands is recorded, but %d others of its name are: frame(..., all=True) returns them",
            experiment.shown,
            scores["key"].nunique(),
        )
    return scores[current].reset_index(drop=True)


def _without_config(experiment: str | Path, store: Store | str | None, all: bool) -> pd.DataFrame:
    """All recorded trials of an experiment whose config does not exist."""
    name = Path(experiment).name.removesuffix(".yaml")
    scores = recorded(name, store, project_folder())
    if scores.empty:
        config_path(experiment)  # raises the error that names similar configs
        raise FileNotFoundError(experiment)  # another process has written the config since
    log.warning("%s has no config: these are all %d trials that are recorded of it", name, scores["key"].nunique())
    return scores.assign(**{CURRENT: False}) if all else scores


def recorded(name: str, store: Store | str | None, root: Path) -> pd.DataFrame:
    """All recorded scores of an experiment; an empty frame if there is no store, which is not made then."""
    try:
        with open_store(store, root, reading=True) as opened:
            return opened.frame(name)
    except NothingRecorded:
        return tidy([])


def _of_config(experiment: Experiment, scores: pd.DataFrame, storage: str | None) -> tuple[set[str], pd.DataFrame]:
    """The keys of the trials of a config as it stands, and the scores with the roles of chosen trials.

    What needs Optuna or scipy is imported where it is needed: their imports take seconds.
    """
    if isinstance(experiment, Search):
        from farback.runs.search.trial_keys import trial_keys

        return trial_keys(experiment, storage), scores
    if not isinstance(experiment, Sweep):
        raise TypeError(f"expected a Sweep or a Search, got {type(experiment).__name__}")
    trials = experiment.trials()
    if not any(trial.chosen for trial in trials):
        return {trial.key for trial in trials}, scores
    from farback.runs.schedule import missing_from_frame
    from farback.tables import with_roles

    what = missing_from_frame(scores, experiment, trials)
    return {trial.key for trial in what.trials}, with_roles(scores, what.roles)
