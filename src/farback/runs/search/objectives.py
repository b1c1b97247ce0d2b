"""An objective's value for one trained network, from its scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from farback import stats
from farback.experiment import Objective
from farback.training.replicas import SOLVED_SKILL, SUSTAINED
from farback.trials.trial import Trial


def value(objective: Objective, trial: Trial, status: str, scores: pd.DataFrame) -> float:
    """The objective of one trial.

    - horizon: the last lag before the first failure, in steps; 0 where the smallest lag fails.
    - skill at a lag: clipped to 0..1, for worse than chance is no less than nothing remembered.
    - area: under clipped skill over the logarithm of the lag (from 1), as a share of the whole, 0..1.
    - updates: after which success began to be sustained; the number of updates of the trial where it never was.

    A training that diverged has the worst value: 0, or all of its updates.
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
        return float(skill.loc[trial.lag if objective.lag is None else objective.lag])
    skill = skill[skill.index > 0]
    at = np.log(skill.index.to_numpy(dtype=float))
    return float(np.trapezoid(skill.to_numpy(), at) / (at[-1] - at[0]))


def solved_after(trial: Trial, scores: pd.DataFrame) -> int:
    """Updates until the first of the evaluations in a row that make a success sustained."""
    valid = scores[(scores["measure"] == "valid") & (scores["statistic"] == "skill")].sort_values("step")
    run: list[int] = []
    for step, skill in zip(valid["step"], valid["value"], strict=True):
        run = [*run, int(step)] if skill >= SOLVED_SKILL else []
        if len(run) == SUSTAINED:
            return run[0]
    return trial.steps
