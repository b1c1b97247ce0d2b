"""Frames in, frames out: from the tidy scores of every trial to how far back each group of seeds remembers.

The frame that goes in has a row per (trial, measure, step, lag, statistic), with the trial's own columns beside it:
what `farback.frame(name)` gives. Every function takes `by`, the columns that make a group; the trials of one group must
differ in nothing but seed and lag, for seeds are the repeats that statistics are made over. What comes out is sorted
and its columns stand in a fixed order. A trial that diverged counts as a failure at every lag; none is dropped.
"""

from farback.tables.comparisons import comparisons
from farback.tables.files import write_csv
from farback.tables.fresh import DEFAULT, TUNED, contests, gains, gaps, reported, tuning_share
from farback.tables.histories import best_after, budgets, front, parameters, top_settings
from farback.tables.horizons import (
    horizon_grid,
    retention_curves,
    retention_horizons,
    seed_horizons,
    success_by_lag,
    trainability,
)
from farback.tables.rankings import improvements, ranking, sizes, skills

__all__ = [
    "DEFAULT",
    "TUNED",
    "best_after",
    "budgets",
    "comparisons",
    "contests",
    "front",
    "gains",
    "gaps",
    "horizon_grid",
    "improvements",
    "parameters",
    "ranking",
    "reported",
    "retention_curves",
    "retention_horizons",
    "seed_horizons",
    "sizes",
    "skills",
    "success_by_lag",
    "top_settings",
    "trainability",
    "tuning_share",
    "write_csv",
]
