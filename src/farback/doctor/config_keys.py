"""Which trials the configs of a project name."""

from __future__ import annotations

from pathlib import Path

from farback.experiment import Experiment
from farback.records.record import UserError
from farback.system.project import config_of
from farback.trials.trial import Trial


def named(root: Path, experiment: str, storage: str, reported: set[str]) -> tuple[dict[str, Trial | None] | None, str]:
    """The trials of an experiment's config by key, and what the config is called.

    Those that a search has tried are known by their keys alone. None where there is no config that can be read.

    Args:
        root: the project's directory.
        experiment: its name.
        storage: of the studies.
        reported: keys of trials that a search trained on fresh seeds for its report, as the tracker has them.
    """
    path = config_of(experiment, root)
    shown = str(path.relative_to(root))
    if not path.exists():
        return None, shown
    try:
        config = Experiment.load(path)
        if config.search is None:
            return {trial.key: trial for trial in config.trials()}, shown
        from farback.stores.studies import exists, opened, trial_keys  # optuna takes a second to import

        tried = trial_keys(opened(storage), experiment) if exists(storage) else set()
        return dict.fromkeys(tried | reported), shown
    except UserError:  # the studies are looked at elsewhere, the config by `farback run`
        return None, shown
