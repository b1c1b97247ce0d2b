"""Frames of scores of sweeps over any fields, of trials that were never trained."""

import itertools

import pandas as pd

from farback.trials.trial import Trial

LAGS = (20, 80)


def sweep_frame(base, axes, seeds=2):
    """The frame of every combination of the axes; fields of components are written with a dot, as "optimizer.lr".

    Trials with mixed lags are tested at every lag, others at the lag at which they were trained.
    """
    parts = []
    for at, values in enumerate(itertools.product(*axes.values())):
        fields = base
        for name, value in zip(axes, values, strict=True):
            component, _, field = name.rpartition(".")
            own = {component: {**fields.get(component, {}), field: value}} if component else {name: value}
            fields = {**fields, **own}
        mixed = fields.get("train_lags", "fixed") != "fixed"
        for lag, seed in itertools.product([None] if mixed else LAGS, range(seeds)):
            trial = Trial.model_validate({**fields, "seed": seed, **({} if lag is None else {"lag": lag})})
            parts.append(_scores(trial, LAGS if mixed else (lag,), 16.0 * (at + 1) + seed))
    return pd.concat(parts, ignore_index=True)


def _scores(trial, lags, half):
    rows = [("training", 100, -1, "updates", 100.0)]
    for lag in lags:
        skill = 1 / (1 + (lag / half) ** 3)
        values = {"skill": skill, "accuracy": 0.25 + 0.75 * skill, "chance_accuracy": 0.25, "success": skill >= 0.5}
        rows += [("retention", 100, lag, name, float(value)) for name, value in values.items()]
    columns = ("measure", "step", "lag", "statistic", "value")
    own = {**trial.columns(), "status": "finished"}
    return pd.DataFrame([own | dict(zip(columns, row, strict=True)) for row in rows])
