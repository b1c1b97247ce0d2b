"""What a search has done so far, as a frame of plain values."""

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
    """One row for each of Optuna's trials, group after group, by number.

    Args:
        search: the search.
        storage: the studies' URI; by default the SQLite file below the search's root.

    Returns:
        group (label; "" without groups), number, slot (which unit of the budget it fills), attempt (from 1), state
        (complete, pruned, failed, running or waiting), counted (whether the slot is done by this trial: counted rows
        of each group add up to its budget), value (of complete trials), value_1 (of a second objective), `param.PATH`
        for each dimension (NaN where its conditions did not hold), keys (of its trials, joined by a space), started,
        seconds, reason. Empty where there is no study yet.
    """
    uri = located(storage, search.root)
    studies = existing(search, opened(uri)) if exists(uri) else {}
    with quiet():
        return frame(search, {label: study.get_trials(deepcopy=False) for label, study in studies.items()})


def frame(search: Search, found: dict[str, list[FrozenTrial]]) -> pd.DataFrame:
    """The history of trials by group."""
    rows = [row for label, trials in found.items() for row in _rows(search, label, trials)]
    second = ["value_1"] if len(search.objectives) > 1 else []
    params = [f"param.{dimension.path}" for dimension in search.space]
    columns = ["group", "number", "slot", "attempt", "state", "counted", "value", *second, *params]
    columns += ["keys", "started", "seconds", "reason"]
    table = pd.DataFrame(rows, columns=columns, dtype=object)  # so that a choice that is null stays apart from none
    kinds = {"number": "int64", "slot": "int64", "attempt": "int64", "counted": "bool", "value": "float64"}
    kinds |= {f"param.{one.path}": "float64" for one in search.space if one.kind != "categorical"}
    kinds |= dict.fromkeys(("group", "state", "keys", "reason"), "str")
    kinds |= {"seconds": "float64", "started": "datetime64[us]"} | dict.fromkeys(second, "float64")
    return table.astype(kinds)


def _rows(search: Search, label: str, trials: list[FrozenTrial]) -> Iterator[dict[str, Any]]:
    done = {slot.last.number for slot in slots(trials) if slot.last and slot.is_done}
    for trial in sorted(trials, key=lambda trial: trial.number):
        state = STATES[trial.state.name]
        values = (trial.values or ()) if state == "complete" else ()  # of a pruned one: what was reported last
        attrs = trial.user_attrs
        began, ended = trial.datetime_start, trial.datetime_complete
        yield {
            "group": label,
            "number": trial.number,
            "slot": attrs.get("slot", -1),
            "attempt": attrs.get("attempt", 0),
            "state": state,
            "counted": trial.number in done,
            **{("value" if index == 0 else f"value_{index}"): value for index, value in enumerate(values)},
            **{f"param.{path}": value for path, value in trial.params.items()},
            "keys": attrs.get("keys", ""),
            "started": began,
            "seconds": (ended - began).total_seconds() if began and ended else None,
            "reason": attrs.get("reason", ""),
        }
