"""A table in, a figure out: each figure draws exactly the numbers of the table it is given.

The only place that imports matplotlib and seaborn.
"""

from farback.plots.best_after import best_after
from farback.plots.calibration import calibration
from farback.plots.forecast_maps import maps
from farback.plots.forest import forest
from farback.plots.gates import gate_times
from farback.plots.gradients import gradients
from farback.plots.heat_maps import interference, length_map
from farback.plots.horizon_map import horizon_map
from farback.plots.importances import importances
from farback.plots.kernel import kernel
from farback.plots.ladder import staircase
from farback.plots.lyapunov import lyapunov
from farback.plots.memory import memory
from farback.plots.parallel import parallel
from farback.plots.pareto import pareto
from farback.plots.progress import progress
from farback.plots.ranking import improvement, ranking, skills
from farback.plots.reaches import reaches
from farback.plots.retention import retention
from farback.plots.save import offscreen, picture, save
from farback.plots.search_gap import seen_fresh
from farback.plots.skill_by_lag import skill_by_lag
from farback.plots.slices import slices
from farback.plots.success import success
from farback.plots.trend import trend
from farback.plots.verdicts import verdicts

__all__ = [
    "best_after",
    "calibration",
    "forest",
    "gate_times",
    "gradients",
    "horizon_map",
    "importances",
    "improvement",
    "interference",
    "kernel",
    "length_map",
    "lyapunov",
    "maps",
    "memory",
    "offscreen",
    "parallel",
    "pareto",
    "picture",
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
    "verdicts",
]
