"""All of Optuna's trials of a search so far, as a data frame; `number` is the number that Optuna gave a trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from farback.experiment import Search
from farback.runs.search.budget import slots
from farback.runs.search.study import existing
from farback.stores.studies import exists, located, opened, quiet

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}


def history(search: Search, storage: str | None = None) -> pd.DataFrame:
    """One row for each of Optuna's trials: group after group, and in each group by Optuna's number.

    Args:
        storage: URI of the studies; default: the SQLite file in `results/store`.

    Returns:
        group (label; "" without groups), number, slot (of the budget), attempt (from 1), state (complete, pruned,
        failed, running or waiting), counted (whether this trial is the one that counts for its slot), value (of
        complete trials), value_1 (of a second objective), `param.PATH` for each dimension (NaN if its conditions did
        not hold), keys (of its networks, separated by spaces), started, seconds, reason. Empty without a study.
    """
    uri = located(storage, search.root)
    studies = existing(search, opened(uri)) if exists(uri) else {}
    with quiet():
        return frame(search, {label: study.get_trials(deepcopy=False) for label, study in studies.items()})


def frame(search: Search, trials: dict[str, list[FrozenTrial]]) -> pd.DataFrame:
    """The history as a frame, from Optuna's trials by group."""
    rows = [row for label, own in trials.items() for row in _rows(label, own)]
    second = ["value_1"] if len(search.objectives) > 1 else []
    params = [f"param.{dimension.path}" for dimension in search.space]
    columns = ["group", "number", "slot", "attempt", "state", "counted", "value", *second, *params]
    columns += ["keys", "started", "seconds", "reason"]
    table = pd.DataFrame(rows, columns=columns, dtype=object)  # object keeps the choice None apart from a missing value
    dtypes = {"number": "int64", "slot": "int64", "attempt": "int64", "counted": "bool", "value": "float64"}
    dtypes |= {f"param.{one.path}": "float64" for one in search.space if one.kind != "categorical"}
    dtypes |= dict.fromkeys(("group", "state", "keys", "reason"), "str")
    dtypes |= {"seconds": "float64", "started": "datetime64[us]"} | dict.fromkeys(second, "float64")
    return table.astype(dtypes)


def _rows(label: str, trials: list[FrozenTrial]) -> Iterator[dict[str, Any]]:
    counted = {slot.last.number for slot in slots(trials) if slot.last and slot.is_done}
    for trial in sorted(trials, key=lambda trial: trial.number):
        state = STATES[trial.state.name]
        values = (trial.values or ()) if state == "complete" else ()  # a pruned trial has its last reported value
        attrs, started, ended = trial.user_attrs, trial.datetime_start, trial.datetime_complete
        yield {
            "group": label,
            "number": trial.number,
            "slot": attrs.get("slot", -1),
            "attempt": attrs.get("attempt", 0),
            "state": state,
            "counted": trial.number in counted,
            **{("value" if index == 0 else f"value_{index}"): value for index, value in enumerate(values)},
            **{f"param.{path}": value for path, value in trial.params.items()},
            "keys": attrs.get("keys", ""),
            "started": started,
            "seconds": (ended - started).total_seconds() if started and ended else None,
            "reason": attrs.get("reason", ""),
        }
