"""Checks of Optuna's database: whether it opens, and which trials dead processes left there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from farback.doctor import files
from farback.doctor.findings import Finding, GiveUp, counted
from farback.records.record import UserError
from farback.stores import locations


def studies(uri: str, experiment: str) -> Iterator[Finding]:
    """Every study, or those of one experiment.

    Args:
        uri: of the storage.
        experiment: its name, or "".
    """
    path = locations.database(uri)
    if path is not None:
        yield from files.half_made(path)
        if not path.exists():
            return
        broken = list(files.database(path))
        yield from broken
        if broken:
            return
    from farback.stores.studies import (
        opened,
        running,  # optuna takes a second to import
    )

    try:
        left = running(opened(uri), experiment)
    except UserError as error:
        yield Finding("error", "studies", str(error), locations.shown(uri))
        return
    others = Counter[str]()
    for trial in left:
        if not trial.is_dead:
            others[trial.study] += 1
            continue
        what = f"says RUNNING, but its process {trial.owner or '(unknown)'} is gone"
        remedy = "tells Optuna; the next search gives its slot to another trial"
        mend = GiveUp(uri, trial.trial_id, f"its process {trial.owner or '(unknown)'} is gone")
        where = f"trial {trial.number} of the study {trial.study}"
        yield Finding("warning", "studies", what, where, trial.study.partition("/")[0], remedy, (mend,))
    for study, count in sorted(others.items()):
        what = f"{counted(count, 'trial')} in training by processes that live, or cannot be seen from here"
        yield Finding("note", "studies", what, f"study {study}", study.partition("/")[0])
