"""The value of an objective for one trained network, computed from its scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import integrate

from farback import stats
from farback.experiment import Objective
from farback.records.sustained_success import first_success
from farback.trials.trial import Trial


def value(objective: Objective, trial: Trial, status: str, scores: pd.DataFrame) -> float:
    """The objective of one trial.

    - horizon: the longest lag before the first failure, in steps; 0 if the shortest lag fails.
    - skill: the skill at one lag (or the only one, of data without lags), clipped to 0..1, because below chance counts
      as remembering nothing.
    - area: the area under the clipped skill over the log of the lag (without lag 0), as a share of the whole, 0..1.
    - updates: the number of updates before success is sustained; all updates of the trial if it never is.

    A training that diverged gets the worst value: 0, or all of its updates.
    """
    if objective.kind == "updates":
        return float(trial.steps if status == "diverged" else solved_after(trial, scores))
    if status == "diverged":
        return 0.0
    rows = scores[scores["measure"] == "retention"]
    rows = rows[rows["step"] == rows["step"].max()]
    by_lag = rows.pivot(index="lag", columns="statistic", values="value").sort_index()
    if objective.kind == "horizon":
        passed = [bool(success > 0) for success in by_lag["success"]]
        return max(0.0, float(stats.first_failure(by_lag.index.tolist(), passed).horizon.low))
    skill = by_lag["skill"].clip(0.0, 1.0)
    if objective.kind == "skill":
        own = trial.lag if trial.task.has_lags else -1
        return float(skill.loc[own if objective.lag is None else objective.lag])
    skill = skill[skill.index > 0]
    log_lag = np.log(skill.index.to_numpy(dtype=float))
    return float(integrate.trapezoid(skill.to_numpy(), log_lag) / (log_lag[-1] - log_lag[0]))


def solved_after(trial: Trial, scores: pd.DataFrame) -> int:
    """Updates until the first of the consecutive successful evaluations that count as sustained success."""
    valid = scores[(scores["measure"] == "valid") & (scores["statistic"] == "skill")].sort_values("step")
    solved = first_success(zip(valid["step"], valid["value"], strict=True))
    return trial.steps if solved is None else solved
