"""The law of learning time of each group: updates until a lag is learned, by the lag; and its test on longer lags."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pandas as pd

from farback import stats
from farback.records.sustained_success import first_success
from farback.stats.learning_times import LearningTime
from farback.tables.grouping import By, as_frame, check_columns, groups, ordered
from farback.tables.horizon_estimates import HorizonEstimate
from farback.tables.outcomes import judged

LEVEL = 0.9  # of the predictive intervals of updates
FURTHER = 4  # the horizon is given for this multiple of the updates, and the curve up to this multiple of the lags
FEWEST_LAGS, FEWEST_SOLVED = 3, 5  # with which a law is fitted
POINTS = 60  # of a curve


def learning_times(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """When each training at one fixed lag learned it, from the validation skills of its evaluations.

    Returns:
        by..., lag, seed, low (updates after which it was not learned yet), high (updates after which it was; inf if
        the training ended before), budget (the updates that it had).
    """
    check_columns(
        scores, ("key", "seed", "trained_lag", "train_lags", "steps", "measure", "statistic", "step", "value")
    )
    own = judged(scores)
    own = own[(own["train_lags"] == "fixed") & (own["trained_lag"] > 0)]
    trials = own.loc[:, list(dict.fromkeys([*by, "key", "trained_lag", "seed", "steps"]))].drop_duplicates("key")
    skills = own[(own["measure"] == "valid") & (own["statistic"] == "skill")].sort_values("step")
    curves = {key: (rows["step"].to_numpy(), rows["value"].to_numpy()) for key, rows in skills.groupby("key")}
    ends = [
        _ends(*curves.get(key, (np.empty(0), np.empty(0))), budget)
        for key, budget in zip(trials["key"], trials["steps"], strict=True)
    ]
    trials = trials.assign(low=[low for low, _ in ends], high=[high for _, high in ends])
    trials = trials.assign(lag=trials["trained_lag"], budget=trials["steps"])
    return ordered(trials.loc[:, [*by, "lag", "seed", "low", "high", "budget"]], [*by, "lag", "seed"])


def _ends(step_E: np.ndarray, skill_E: np.ndarray, budget: int) -> tuple[float, float]:
    """The updates between which a training learned its lag. One that diverged or ended did not within its budget."""
    solved = first_success(zip(step_E, skill_E, strict=True))
    if solved is None:
        return float(budget), math.inf
    before = step_E[step_E < solved]
    return float(before[-1]) if len(before) else 0.0, float(solved)


def laws(trainings: pd.DataFrame, by: By) -> dict[tuple[object, ...], LearningTime]:
    """The law of each group of `learning_times` with at least 3 lags and 5 trainings that learned theirs."""
    found = {}
    for name, own in groups(trainings, by):
        if own["lag"].nunique() >= FEWEST_LAGS and np.isfinite(own["high"]).sum() >= FEWEST_SOLVED:
            found[name] = _fitted(*(tuple(own[column].astype(float)) for column in ("lag", "low", "high")))
    return found


@lru_cache(maxsize=256)  # a table and its figure need the same laws
def _fitted(lag_N: tuple[float, ...], low_N: tuple[float, ...], high_N: tuple[float, ...]) -> LearningTime:
    return stats.learning_time(lag_N, low_N, high_N)


def learning_time(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The law of learning time of each group, and the horizon that it gives for other numbers of updates.

    Groups with fewer than 3 lags, or fewer than 5 trainings that learned theirs, are left out. A horizon beyond 4 times
    the longest lag that was learned is a bound (inf), because the law is not tested further.

    Returns:
        by..., trainings, solved, law ("power" or "exponential"), probability (of that law), exponent, exponent_low,
        exponent_high (of the power law, 95 %), time_constant (of the exponential law, in steps), spread (standard
        deviation of ln updates over seeds), lapse, fits, longest (the longest lag that was learned), budget (the
        largest number of updates), horizon, estimate, low, high (95 %) for it, and further, further_estimate,
        further_low, further_high for 4 times as many updates.
    """
    trainings, rows = learning_times(scores, by), []
    found = laws(trainings, by)
    for name, own in groups(trainings, by):
        if name not in found:
            continue
        law, budget = found[name], float(own["budget"].max())
        longest = int(own.loc[np.isfinite(own["high"]), "lag"].max())
        exponents = (law.exponent, law.exponent_low, law.exponent_high)
        rows.append(
            (
                *(*name, law.trainings, law.solved, law.law, law.probability, *exponents, law.time_constant),
                *(law.spread, law.lapse, law.fits, longest, budget),
                *(*_ends_of(law_horizon(law, own, budget)), *_ends_of(law_horizon(law, own, FURTHER * budget))),
            )
        )
    ends = ("horizon", "estimate", "low", "high", "further", "further_estimate", "further_low", "further_high")
    columns = [
        "trainings",
        "solved",
        "law",
        "probability",
        "exponent",
        "exponent_low",
        "exponent_high",
        "time_constant",
    ]
    return as_frame(rows, [*by, *columns, "spread", "lapse", "fits", "longest", "budget", *ends], trainings, by)


def law_horizon(law: LearningTime, trainings: pd.DataFrame, budget: float) -> HorizonEstimate:
    """The horizon for a number of updates; beyond 4 times the longest lag that was learned it is a bound."""
    longest = int(trainings.loc[np.isfinite(trainings["high"]), "lag"].max())
    smallest, largest = float(trainings["lag"].min()) / FURTHER, float(FURTHER * longest)
    ends = [0.0 if lag < smallest else math.inf if lag > largest else lag for lag in law.horizon(budget)]
    return HorizonEstimate(ends[0], ends[1], ends[2], smallest, largest)


def _ends_of(horizon: HorizonEstimate) -> tuple[str, float, float, float]:
    return str(horizon), horizon.estimate, horizon.low, horizon.high


def learning_time_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The predicted updates of a fresh seed against the lag, up to 4 times the longest lag that was learned.

    Returns:
        by..., lag, updates (median), low, high (90 % predictive; inf where more seeds may never learn).
    """
    trainings, rows = learning_times(scores, by), []
    found = laws(trainings, by)
    for name, own in groups(trainings, by):
        if name in found:
            longest = own.loc[np.isfinite(own["high"]), "lag"].max()
            for lag in np.geomspace(own["lag"].min(), FURTHER * longest, POINTS):
                rows.append((*name, float(lag), *found[name].updates(float(lag), LEVEL)))
    return as_frame(rows, [*by, "lag", "updates", "low", "high"], trainings, by)


def learning_time_backtest(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """A test of the law: fitted on short lags, does it predict the updates at up to 2 and 4 times as long ones?

    For each group and each lag L that leaves longer ones, the law is fitted on the trainings up to L. A training at a
    longer lag is predicted if the interval in which it learned touches the 90 % predictive interval; one that ended
    without success if that interval does not end before its last update.

    Returns:
        by..., fitted_to (L), factor (2: lags in (L, 2 L]; 4: in (2 L, 4 L]), trainings, predicted, share, learned (how
        many trainings learned the longer lag; the others are easier to predict), learned_predicted (of these), law,
        fits.
    """
    rows, trainings = [], learning_times(scores, by)
    for name, own in groups(trainings, by):
        for last in sorted(set(own["lag"]))[:-1]:
            part = own[own["lag"] <= last]
            later = {factor: own[(own["lag"] > last * factor / 2) & (own["lag"] <= last * factor)] for factor in (2, 4)}
            fitted = laws(part, by)
            if not fitted or all(rest.empty for rest in later.values()):
                continue
            (law,) = fitted.values()
            for factor, rest in later.items():
                if len(rest):
                    hit_N = np.array([_predicted(law, row) for row in rest.itertuples()])
                    learned_N = np.isfinite(rest["high"].to_numpy(float))
                    counts = (len(rest), int(hit_N.sum()), float(hit_N.mean()))
                    learned = (int(learned_N.sum()), int((hit_N & learned_N).sum()))
                    rows.append((*name, last, factor, *counts, *learned, law.law, law.fits))
    columns = ["fitted_to", "factor", "trainings", "predicted", "share", "learned", "learned_predicted", "law", "fits"]
    return as_frame(rows, [*by, *columns], trainings, by)


def _predicted(law: LearningTime, training: object) -> bool:
    _, low, high = law.updates(float(training.lag), LEVEL)  # type: ignore[attr-defined]
    return bool(training.high >= low and training.low <= high)  # type: ignore[attr-defined]
