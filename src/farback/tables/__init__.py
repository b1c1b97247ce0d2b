"""Frames in, frames out: from the tidy scores of every trial to how far back each group of seeds remembers.

The frame that goes in has a row per (trial, measure, step, lag, statistic), with the trial's own columns beside it:
what `farback.frame(name)` gives. Every function takes `by`, the columns that make a group; the trials of one group must
differ in nothing but seed and lag, for seeds are the repeats that statistics are made over. What comes out is sorted
and its columns stand in a fixed order. A trial that diverged counts as a failure at every lag; none is dropped.

Searches have two frames of their own: the history of what the optimiser saw (`histories`), and the settings it chose
trained again on fresh seeds (`fresh`), which alone are results.
"""

from farback.tables.comparisons import comparisons
from farback.tables.curves import curves, gate_times, gradient_curves, memory_curves, numbers, rates
from farback.tables.files import write_csv
from farback.tables.fresh_seeds import DEFAULT, TUNED, contests, gains, gaps, reported, tuning_share
from farback.tables.horizons import (
    horizon_grid,
    retention_curves,
    retention_horizons,
    seed_horizons,
    success_by_lag,
    trainability,
)
from farback.tables.learning_curves import learning_curves, outcomes
from farback.tables.lengths import extrapolation, horizon_by_update, retained_by_lag, trained_and_tested
from farback.tables.outcomes import tested
from farback.tables.rankings import improvements, ranking, sizes, skills
from farback.tables.reaches import reach_horizons, reaches, seed_reaches
from farback.tables.search_history import best_after, budgets, front, parameters, top_settings

__all__ = [
    "DEFAULT",
    "TUNED",
    "best_after",
    "budgets",
    "comparisons",
    "contests",
    "curves",
    "extrapolation",
    "front",
    "gains",
    "gaps",
    "gate_times",
    "gradient_curves",
    "horizon_by_update",
    "horizon_grid",
    "improvements",
    "learning_curves",
    "memory_curves",
    "numbers",
    "outcomes",
    "parameters",
    "ranking",
    "rates",
    "reach_horizons",
    "reaches",
    "reported",
    "retained_by_lag",
    "retention_curves",
    "retention_horizons",
    "seed_horizons",
    "seed_reaches",
    "sizes",
    "skills",
    "success_by_lag",
    "tested",
    "top_settings",
    "trainability",
    "trained_and_tested",
    "tuning_share",
    "write_csv",
]
