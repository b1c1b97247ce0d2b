"""All trials of a sweep, for made-up scores; in place of adaptive lags, five seeds of each network at several lags.

Where settings are tuned at listed lags, the first setting is judged.
"""

from __future__ import annotations

from farback.experiment import Sweep
from farback.experiment.chosen_trials import CHOICE, JUDGED
from farback.runs.network_search import CHOICE_SEEDS
from farback.trials.trial import Trial

LAGS = (2, 5, 10, 20, 28, 40, 80, 160, 320, 1000, 2000, 4000, 10_000, 40_000, 100_000)


def every_trial(sweep: Sweep) -> list[Trial]:
    """The listed trials, and those that could be chosen; with adaptive lags each of the latter has its own seed."""
    trials = sweep.trials()
    made = [trial for trial in trials if not trial.chosen]
    for search in sweep.chosen(trials):
        if search.adaptive:
            lags = [lag for lag in LAGS if search.ends[0] <= lag <= search.ends[1]]
            numbers = [(lag, 5 * place + seed) for place, lag in enumerate(lags) for seed in range(5)]
            made += [search.trial(0, lag, number, JUDGED) for lag, number in numbers]
        else:
            arms, lag = range(len(search.arms)), search.ends[0]
            made += [search.trial(arm, lag, number, CHOICE) for arm in arms for number in range(CHOICE_SEEDS)]
            made += [search.trial(0, lag, number, JUDGED) for number in search.judged]
    return made
