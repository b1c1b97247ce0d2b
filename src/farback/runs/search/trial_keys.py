"""The trials of a search as its config stands: those of its studies, and those of their best settings."""

from __future__ import annotations

from farback.experiment import Search
from farback.runs.search.optuna_history import frame
from farback.runs.search.study import existing, is_of
from farback.runs.search.winners import defaults, winners
from farback.stores.studies import exists, located, opened, quiet


def trial_keys(search: Search, storage: str | None = None) -> set[str]:
    """The keys of all trials of a search; those of studies that were made with another config are not among them.

    `storage` is the URI of its studies; default: the SQLite file in `results/store`.
    """
    uri = located(storage, search.root)
    studies = existing(search, opened(uri)) if exists(uri) else {}
    with quiet():
        groups = {group.label: group for group in search.groups}
        own = {label: study for label, study in studies.items() if is_of(study, search, groups[label])}
        past = frame(search, {label: study.get_trials(deepcopy=False) for label, study in own.items()})
    found = {key for keys in past["keys"] for key in str(keys).split()}
    return found | {trial.key for best in (*winners(search, past), *defaults(search, past)) for trial in best.trials}
