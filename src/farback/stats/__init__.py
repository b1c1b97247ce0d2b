"""Intervals, horizons, censoring and comparisons over seeds.

scipy does most of the work (Wilson, Clopper-Pearson, isotonic regression, Kaplan-Meier). This package adds horizons
that are known only to lie between two lags, the Spearman-Karber estimate, exact tests with ties and censoring, and
corrections for multiple tests.
"""

from farback.stats.aggregates import Improvement, improvement, stratified_bootstrap, two_stage_bootstrap
from farback.stats.best_of_draws import Best, best_of
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
from farback.stats.isotonic_thresholds import isotonic_threshold
from farback.stats.learning_times import LearningTime, learning_time
from farback.stats.psychometric import Psychometric, psychometric
from farback.stats.success_rates import MeanHorizon, isotonic, mean_horizon, spearman_karber
from farback.stats.survival import Survival, kaplan_meier
from farback.stats.threshold_search import ThresholdSearch, best_probabilities

__all__ = [
    "Best",
    "Comparison",
    "Horizon",
    "Improvement",
    "LearningTime",
    "MeanHorizon",
    "Psychometric",
    "Reading",
    "Survival",
    "ThresholdSearch",
    "benjamini_hochberg",
    "best_of",
    "best_probabilities",
    "bootstrap",
    "clopper_pearson",
    "compare",
    "first_failure",
    "holm",
    "improvement",
    "iqm",
    "isotonic",
    "isotonic_threshold",
    "kaplan_meier",
    "largest_success",
    "learning_time",
    "mean_horizon",
    "median",
    "median_horizon",
    "median_interval",
    "probability_of_improvement",
    "psychometric",
    "retention_horizon",
    "spearman_karber",
    "stratified_bootstrap",
    "success_threshold",
    "two_stage_bootstrap",
    "wilson",
]
