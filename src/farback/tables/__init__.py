"""Tables of how far back each group of seeds remembers, computed as data frames from the tidy scores of all trials.

The input frame has a row per (trial, measure, step, lag, statistic), with the trial's own columns beside it, as
`farback.frame(name)` gives it. Most functions take `by`, the columns that make a group; the trials of one group must
differ only in seed and lag, because the statistics are over seeds. The result is sorted and its columns have a fixed
order. A trial that diverged is not dropped: it counts as a failure at every lag. Every function raises ValueError if
the frame lacks a column, a measure or a row that the table needs (the message says what the frame has), or if two
trials of a group share a seed.

Searches have two other input frames: the history of Optuna's trials (`search_history`), and the best settings trained
again on fresh seeds (`fresh_seeds`), which give the results.
"""

from farback.tables.choices import choices
from farback.tables.comparisons import comparisons
from farback.tables.csv_files import write_csv, write_parquet
from farback.tables.curves import (
    curves,
    gate_times,
    gradient_curves,
    learning_curves,
    memory_curves,
    numbers,
    rates,
)
from farback.tables.diagnoses import diagnoses
from farback.tables.fresh_seeds import DEFAULT, TUNED, contests, gains, gaps, reported, tuning_share
from farback.tables.horizon_by_budget import horizon_by_budget, horizon_forecasts
from farback.tables.horizons import horizon_by_state, horizon_grid, success_by_lag, success_curves, trainability
from farback.tables.learning_times import learning_time, learning_time_backtest, learning_time_curves, learning_times
from farback.tables.length_generalisation import extrapolation, horizon_by_update, retained_by_lag, trained_and_tested
from farback.tables.outcomes import of_curriculum, outcomes, tested
from farback.tables.rankings import improvements, ranking, sizes, skills
from farback.tables.reaches import reach_horizons, reaches, seed_reaches
from farback.tables.retained import retention_curves, retention_horizons, seed_horizons
from farback.tables.roles import with_roles
from farback.tables.search_history import best_after, budgets, front, parameters, top_settings
from farback.tables.truncation import truncation_reaches
from farback.tables.validation import has_horizon, has_score_without_lag, last_evaluations, scores_without_lag

__all__ = [
    "DEFAULT",
    "TUNED",
    "best_after",
    "budgets",
    "choices",
    "comparisons",
    "contests",
    "curves",
    "diagnoses",
    "extrapolation",
    "front",
    "gains",
    "gaps",
    "gate_times",
    "gradient_curves",
    "has_horizon",
    "has_score_without_lag",
    "horizon_by_budget",
    "horizon_by_state",
    "horizon_by_update",
    "horizon_forecasts",
    "horizon_grid",
    "improvements",
    "last_evaluations",
    "learning_curves",
    "learning_time",
    "learning_time_backtest",
    "learning_time_curves",
    "learning_times",
    "memory_curves",
    "numbers",
    "of_curriculum",
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
    "scores_without_lag",
    "seed_horizons",
    "seed_reaches",
    "sizes",
    "skills",
    "success_by_lag",
    "success_curves",
    "tested",
    "top_settings",
    "trainability",
    "trained_and_tested",
    "truncation_reaches",
    "tuning_share",
    "with_roles",
    "write_csv",
    "write_parquet",
]
