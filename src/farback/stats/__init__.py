"""Intervals, horizons, censoring, comparisons: seeds are the statistical unit, and nothing beyond a grid is invented.

scipy does what it already does (Wilson, Clopper-Pearson, isotonic regression, Kaplan-Meier, the bootstrap); this
package adds what it lacks: horizons that are known only to lie between two lags, Spearman-Karber, exact tests with ties
and censoring, and Holm's correction.
"""

from farback.stats.aggregates import Improvement, improvement, stratified_bootstrap
from farback.stats.comparisons import Comparison, benjamini_hochberg, compare, holm, iqm, probability_of_improvement
from farback.stats.horizons import (
    Horizon,
    Reading,
    first_failure,
    largest_success,
    median_horizon,
    retention_horizon,
    success_threshold,
)
from farback.stats.intervals import bootstrap, clopper_pearson, median, median_interval, wilson
from farback.stats.records import Best, best_of
from farback.stats.success import MeanHorizon, isotonic, mean_horizon, spearman_karber
from farback.stats.survival import Survival, kaplan_meier

__all__ = [
    "Best",
    "Comparison",
    "Horizon",
    "Improvement",
    "MeanHorizon",
    "Reading",
    "Survival",
    "benjamini_hochberg",
    "best_of",
    "bootstrap",
    "clopper_pearson",
    "compare",
    "first_failure",
    "holm",
    "improvement",
    "iqm",
    "isotonic",
    "kaplan_meier",
    "largest_success",
    "mean_horizon",
    "median",
    "median_horizon",
    "median_interval",
    "probability_of_improvement",
    "retention_horizon",
    "spearman_karber",
    "stratified_bootstrap",
    "success_threshold",
    "wilson",
]
