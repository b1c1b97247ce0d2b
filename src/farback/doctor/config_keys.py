"""Which trials belong to the present config of an experiment."""

from __future__ import annotations

from pathlib import Path

from farback.experiment import Experiment, Sweep
from farback.records.record import UserError
from farback.system.project import config_of
from farback.trials.trial import Trial


def config_trials(
    root: Path, experiment: str, storage: str, reported: set[str]
) -> tuple[dict[str, Trial | None] | None, str]:
    """The trials of an experiment's config by key, and the config's path.

    Of a search only the keys are known. None where there is no config that can be read.

    Args:
        root: the project's directory.
        experiment: its name.
        storage: URI of the studies.
        reported: keys of the trials that a search trained on fresh seeds for its report.
    """
    path = config_of(experiment, root)
    shown = str(path.relative_to(root))
    if not path.exists():
        return None, shown
    try:
        config = Experiment.load(path)
        if isinstance(config, Sweep):
            return {trial.key: trial for trial in config.trials()}, shown
        from farback.stores.studies import exists, opened, trial_keys  # optuna takes a second to import

        tried = trial_keys(opened(storage), experiment) if exists(storage) else set()
        return dict.fromkeys(tried | reported), shown
    except UserError:  # `farback run` reports a mistake in the config, the checkup of studies a broken database
        return None, shown
