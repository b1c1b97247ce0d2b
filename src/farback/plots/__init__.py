"""Functions that draw a figure from a table; each draws the numbers of its table unchanged.

A function makes a figure of its own, unless it is given a place: one with a single panel takes axes (`ax=`), one with
several panels takes a figure or a part of one (`figure=`, as `Figure.subfigures` makes them). Where groups have panels
of their own, they all share the given axes. Sizes are left as they are; a figure that is made with
`layout="constrained"` has room for the title, the notes and the legend. The whole figure is returned.

Only this package imports matplotlib and seaborn.
"""

from farback.plots import backend  # noqa: F401 - it must be the first to import matplotlib
from farback.plots.atlas import horizon_lines, horizon_rows
from farback.plots.calibration import calibration
from farback.plots.causes import causes
from farback.plots.claim_verdicts import verdicts
from farback.plots.forecasts import maps, skill_by_lag, staircase
from farback.plots.forest import forest
from farback.plots.heat_maps import interference, length_map
from farback.plots.horizon_by_state import horizon_by_state
from farback.plots.horizon_map import horizon_map
from farback.plots.learning_time import learning_time
from farback.plots.measure_curves import gate_times, gradients, lyapunov, memory, truncation
from farback.plots.parallel_coordinates import parallel
from farback.plots.progress import progress
from farback.plots.ranking import improvement, ranking, skills
from farback.plots.reaches import reaches
from farback.plots.retention import retention
from farback.plots.save import save
from farback.plots.search_parameters import importances, slices
from farback.plots.search_values import best_after, pareto, seen_fresh
from farback.plots.success import success
from farback.plots.trend import trend

__all__ = [
    "best_after",
    "calibration",
    "causes",
    "forest",
    "gate_times",
    "gradients",
    "horizon_by_state",
    "horizon_lines",
    "horizon_map",
    "horizon_rows",
    "importances",
    "improvement",
    "interference",
    "learning_time",
    "length_map",
    "lyapunov",
    "maps",
    "memory",
    "parallel",
    "pareto",
    "progress",
    "ranking",
    "reaches",
    "retention",
    "save",
    "seen_fresh",
    "skill_by_lag",
    "skills",
    "slices",
    "staircase",
    "success",
    "trend",
    "truncation",
    "verdicts",
]
