"""Aggregates over several tasks, with intervals from resampling the tasks and the runs of each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from farback.stats.comparisons import probability_of_improvement
from farback.stats.intervals import RESAMPLES, check_resamples, percentiles

Strata = Sequence[ArrayLike]  # for each task a list with the scores of its runs
Numbers = NDArray[np.float64]


def stratified_bootstrap(
    strata: Strata,
    statistic: Callable[[Numbers], float] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a statistic of all runs, which are resampled within each task.

    Every resample has as many runs of each task as the data. The interval covers what other seeds would give on these
    tasks, not what other tasks would give (Agarwal et al. 2021, section 4.2 and their library rliable). The same `seed`
    gives the same interval.

    Args:
        strata: for each task the scores of its runs; tasks may have different numbers of runs.
        statistic: a function from all scores to a number; the interquartile mean by default.

    Raises:
        ValueError: no task, a task without runs, or a nan.
    """
    values = _checked(strata, "strata")
    check_resamples(resamples)
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, len(own), (resamples, len(own))) for own in values]
    drawn_BN = np.concatenate([own[index_BN] for own, index_BN in zip(values, rows, strict=True)], axis=1)
    if statistic is None:  # computed for all resamples at once: a loop takes a hundred times as long
        return percentiles(scipy.stats.trim_mean(drawn_BN, 0.25, axis=1), confidence)
    return percentiles(np.array([float(statistic(drawn_N)) for drawn_N in drawn_BN]), confidence)


def two_stage_bootstrap(
    strata: Strata,
    statistic: Callable[..., Numbers] = np.mean,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a statistic of the tasks' means; first the tasks are resampled, then the runs of each.

    The interval covers what other seeds and other tasks of the same kind would give (two-stage bootstrap, Davison and
    Hinkley 1997, section 3.8). With fewer than ten tasks it is too narrow: show the tasks beside it. The same `seed`
    gives the same interval.

    Args:
        strata: for each task the scores of its runs; tasks may have different numbers of runs.
        statistic: a numpy function with the argument `axis`, applied to the means of the resampled tasks; the mean by
            default, `numpy.min` for the worst task.

    Raises:
        ValueError: as `stratified_bootstrap`.
    """
    values = _checked(strata, "strata")
    check_resamples(resamples)
    rng = np.random.default_rng(seed)
    mean_BK = np.zeros((resamples, len(values)))
    for task_B, mean_B in zip(_drawn_tasks(rng, len(values), resamples), mean_BK.T, strict=True):
        for task, own in enumerate(values):
            chosen = task_B == task
            mean_B[chosen] = own[rng.integers(0, len(own), (chosen.sum(), len(own)))].mean(axis=1)
    return percentiles(np.asarray(statistic(mean_BK, axis=1), float), confidence)


def _drawn_tasks(rng: np.random.Generator, tasks: int, resamples: int) -> NDArray[np.int64]:
    """The tasks of every resample, drawn with replacement, shape (tasks, resamples)."""
    return rng.integers(0, tasks, (tasks, resamples))


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of `a` beats a run of `b` on the same task, averaged over tasks, with its interval."""

    probability: float
    low: float
    high: float


def improvement(
    a: Strata, b: Strata, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Improvement:
    """The average probability of improvement of `a` over `b` (Agarwal et al. 2021), with a two-stage bootstrap.

    Ties count half. Every task has the same weight, whatever its number of runs. The tasks are resampled first, the
    same for `a` and `b`, then the runs of `a` and `b` independently.

    Raises:
        ValueError: as `stratified_bootstrap`, or different numbers of tasks.
    """
    value_a, value_b = _checked(a, "a"), _checked(b, "b")
    if len(value_a) != len(value_b):
        raise ValueError(f"a has {len(value_a)} tasks and b has {len(value_b)}: both need the same tasks, in order")
    check_resamples(resamples)
    rng = np.random.default_rng(seed)
    share_S, count = np.zeros(resamples), len(value_a)
    ahead = [(x[:, None] > y) + 0.5 * (x[:, None] == y) for x, y in zip(value_a, value_b, strict=True)]
    for task_S in _drawn_tasks(rng, count, resamples):
        for task, ahead_AB in enumerate(ahead):
            chosen = task_S == task
            (size_a, size_b), drawn = ahead_AB.shape, int(chosen.sum())
            row_SA, row_SB = rng.integers(0, size_a, (drawn, size_a)), rng.integers(0, size_b, (drawn, size_b))
            share_S[chosen] += ahead_AB[row_SA[:, :, None], row_SB[:, None, :]].mean((1, 2)) / count
    mean = sum(probability_of_improvement(x, y) for x, y in zip(value_a, value_b, strict=True)) / count
    return Improvement(mean, *percentiles(share_S, confidence))


def _checked(strata: Strata, name: str) -> list[Numbers]:
    values = [np.asarray(own, float) for own in strata]
    wrong = [own.tolist() for own in values if own.ndim != 1 or not len(own) or np.isnan(own).any()]
    if not values or wrong:
        got = wrong[0] if wrong else "no task"
        raise ValueError(f"{name} must hold, for each task, a list of at least one number and no nan; got {got}")
    return values
