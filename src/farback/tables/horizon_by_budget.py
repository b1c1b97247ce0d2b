"""The horizon of each group for several numbers of updates: seen within the trainings, and by the law beyond them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from farback.tables.grouping import By, as_frame, groups
from farback.tables.horizon_estimates import HorizonEstimate, half_way
from farback.tables.learning_times import law_horizon, laws, learning_times

SEEN, LAW = "seen", "law"
ENDS = ("estimate", "low", "high")


def horizon_by_budget(scores: pd.DataFrame, budgets: Sequence[int], by: By = ("label",)) -> pd.DataFrame:
    """The lag that half of fresh seeds learn within so many updates.

    A training says for every number of updates up to its own whether it had learned its lag, so horizons up to there
    are seen (as in `trainability`, with "learned" in place of "right on test sequences"). Beyond it they follow from
    the law of learning time; a group without a law (`learning_time`) has no rows there.

    Returns:
        by..., budget (updates), source ("seen" or "law"), trainings, smallest_lag, largest_lag (beyond these the
        horizon is a bound), horizon (text), estimate, low, high, bound (as in `trainability`), fits (of the success
        curve or the law).
    """
    trainings, rows = learning_times(scores, by), []
    found = laws(trainings, by)
    for name, own in groups(trainings, by):
        most = int(own["budget"].max())
        for budget in sorted(set(budgets)):
            if budget <= most:
                seen = half_way(own.assign(passed=own["high"] <= budget))
                horizon, fits, source = seen.horizon, seen.fit is None or seen.fit.fits, SEEN
            elif law := found.get(name):
                horizon, fits, source = law_horizon(law, own, budget), law.fits, LAW
            else:
                continue
            ends = (
                horizon.smallest,
                horizon.largest,
                str(horizon),
                horizon.estimate,
                horizon.low,
                horizon.high,
                horizon.bound,
                fits,
            )
            rows.append((*name, budget, source, len(own), *ends))
    columns = ("budget", "source", "trainings", "smallest_lag", "largest_lag", "horizon", *ENDS, "bound", "fits")
    return as_frame(rows, [*by, *columns], trainings, by)


def horizon_forecasts(scores: pd.DataFrame, share: float = 0.25, by: By = ("label",)) -> pd.DataFrame:
    """A test of the law on more updates: from this share of them, does it predict the horizon for all of them?

    The law is fitted to what the trainings had shown until then. A success counts from its first evaluation, although
    two more confirm it. Groups without a law at that time are left out.

    Returns:
        by..., from_updates, updates, horizon (seen, as text), estimate, low, high, predicted (text),
        predicted_estimate, predicted_low, predicted_high (95 %), agrees (whether the two differ by no more than their
        intervals explain, taken as independent).
    """
    trainings, rows = learning_times(scores, by), []
    for name, own in groups(trainings, by):
        most = float(own["budget"].max())
        until = share * most
        solved = own["high"] <= until
        early = own.assign(
            high=own["high"].where(solved, math.inf), low=own["low"].where(solved, np.minimum(own["low"], until))
        )
        law = next(iter(laws(early, by).values()), None)
        if law is None:
            continue
        seen = half_way(own.assign(passed=own["high"] <= most)).horizon
        told = law_horizon(law, early, most)
        both = [(str(one), one.estimate, one.low, one.high) for one in (seen, told)]
        rows.append((*name, until, most, *both[0], *both[1], agree(seen, told)))
    predicted = ("predicted", *(f"predicted_{end}" for end in ENDS))
    return as_frame(rows, [*by, "from_updates", "updates", "horizon", *ENDS, *predicted, "agrees"], trainings, by)


def agree(a: HorizonEstimate, b: HorizonEstimate) -> bool:
    """Whether the difference of the logarithms of two horizons is within its 95 % interval; an end at infinity is wide.

    A bound agrees with a horizon whose interval reaches beyond it.
    """
    lower, upper = sorted((a, b), key=lambda one: one.estimate)
    if lower.bound == "below" or upper.bound == "at least":
        return upper.low <= lower.high or upper.low <= lower.smallest or lower.high >= upper.largest
    if lower.low <= 0 or upper.low <= 0 or math.isinf(lower.high):
        return upper.low <= lower.high
    apart = math.log(upper.estimate / lower.estimate)
    return apart <= math.hypot(math.log(lower.high / lower.estimate), math.log(upper.estimate / upper.low))
