"""The trials of an experiment's present config, by key: the hash that identifies a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from farback.experiment import Experiment, Sweep
from farback.records.user_error import UserError
from farback.system.project import config_of
from farback.trials.trial import Trial

TrialsOf = Callable[[Sweep], Sequence[Trial]]


def config_trials(
    root: Path, experiment: str, storage: str, reported: set[str], trials_of: TrialsOf = Sweep.trials
) -> tuple[dict[str, Trial | None] | None, str]:
    """The trials of an experiment's config by key, and the config's path.

    None instead of trials if there is no readable config. For a search only keys are known, so the values are None. The
    keys are those in its studies (`storage` is their URI) and the `reported` ones, which it trained on fresh seeds.
    `trials_of` gives the trials of a sweep, with those that adaptive lags chose.
    """
    path = config_of(experiment, root)
    name = str(path.relative_to(root))
    if not path.exists():
        return None, name
    try:
        config = Experiment.load(path)
        if isinstance(config, Sweep):
            return {trial.key: trial for trial in trials_of(config)}, name
        from farback.stores.studies import exists, opened, trial_keys  # optuna takes a second to import

        tried = trial_keys(opened(storage, retry_seconds=0.0), experiment) if exists(storage) else set()
        return dict.fromkeys(tried | reported), name
    except UserError:  # other commands report mistakes in a config, and `files.studies` a broken database
        return None, name
