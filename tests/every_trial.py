"""All trials of a sweep, for made-up scores; in place of adaptive lags, five seeds of each network at several lags."""

from __future__ import annotations

from farback.experiment import Sweep
from farback.experiment.lag_search import JUDGED
from farback.trials.trial import Trial

LAGS = (2, 5, 10, 20, 28, 40, 80, 160, 320, 1000, 2000, 4000)


def every_trial(sweep: Sweep) -> list[Trial]:
    """The listed trials, and those that adaptive lags could choose; each of the latter has a seed of its own."""
    trials = sweep.trials()
    chosen = [
        search.trial(0, lag, 5 * number + seed, JUDGED)
        for search in sweep.searches(trials)
        for number, lag in enumerate(lag for lag in LAGS if search.ends[0] <= lag <= search.ends[1])
        for seed in range(5)
    ]
    return [trial for trial in trials if not trial.adaptive] + chosen
