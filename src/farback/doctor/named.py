"""Which trials the configs of a project name."""

from __future__ import annotations

from pathlib import Path

from farback.component import UserError
from farback.experiment import Experiment
from farback.layout import config_of
from farback.trial import Trial


def named(root: Path, experiment: str, storage: str) -> tuple[dict[str, Trial | None] | None, str]:
    """The trials of an experiment's config by key, and what the config is called.

    Those that a search has tried are known by their keys alone. None where there is no config that can be read.

    Args:
        root: the project's directory.
        experiment: its name.
        storage: of the studies.
    """
    path = config_of(experiment, root)
    shown = str(path.relative_to(root))
    if not path.exists():
        return None, shown
    try:
        config = Experiment.load(path)
        if config.search is None:
            return {trial.key: trial for trial in config.trials()}, shown
        from farback.search.frames import history  # optuna takes a second to import
        from farback.search.winning import defaults, winners

        past = history(config, storage)
        tried: dict[str, Trial | None] = {key: None for keys in past["keys"] for key in str(keys).split()}
        reported = [*winners(config, past), *defaults(config, past)]
        return tried | {trial.key: trial for winner in reported for trial in winner.trials}, shown
    except (UserError, RuntimeError):  # the studies are looked at elsewhere, the config by `farback run`
        return None, shown
