"""Compares the record of each study with the networks that it names: its database does not notice a changed bit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from farback.experiment import Search
from farback.records.user_error import UserError
from farback.runs.search.objectives import value
from farback.runs.search.winners import VALUES, params
from farback.trials.trial import Trial

ROUNDING = 1e-9  # relative; the mean of a setting's seeds depends on the order in which they ended


def check(search: Search, past: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Check every complete setting whose networks are all in `frame`: its parameters and its values.

    Raises:
        UserError: a value of a study differs from the scores of its networks, or its parameters give other networks.
            If that holds for all settings, the config was changed or another release made the study: then nothing is
            known about damage.
    """
    scores = {str(key): own for key, own in frame.groupby("key", sort=False)}
    groups = {group.label: group for group in search.groups}
    others, same = [], 0
    for _, row in past[(past["state"] == "complete") & past["counted"]].iterrows():
        keys = set(str(row["keys"]).split())
        if row["group"] not in groups or not keys <= scores.keys():
            continue
        try:
            trials = [search.trial(groups[row["group"]], params(search, row), seed) for seed in search.search_seeds]
        except ValueError:  # values that no network can have
            trials = list[Trial]()
        if {trial.key for trial in trials} != keys:
            others.append(row)
            continue
        same += 1
        found = np.mean([_values(search, trial, scores[trial.key]) for trial in trials], axis=0)
        recorded = [float(row[name]) for name in VALUES[: len(found)]]
        if not np.allclose(recorded, found, rtol=ROUNDING, atol=0.0, equal_nan=True):
            raise _error(search, row, f"has the values {recorded}, but the scores of its networks give {list(found)}")
    if others and same:
        raise _error(search, others[0], "has parameters that do not give the networks that it names")


def _values(search: Search, trial: Trial, own: pd.DataFrame) -> list[float]:
    return [value(objective, trial, str(own["status"].iloc[0]), own) for objective in search.objectives]


def _error(search: Search, row: pd.Series, problem: str) -> UserError:
    name = "/".join(part for part in (search.name, str(row["group"])) if part)
    advice = "the database of the studies is damaged: restore a copy, or start over with `farback search --restart`"
    return UserError(f"{search.shown}: trial {row['number']} of the study {name} {problem}: {advice}")
