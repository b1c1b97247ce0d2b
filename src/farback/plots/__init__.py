"""A table in, a figure out: each figure draws exactly the numbers of the table it is given.

The only place that imports matplotlib and seaborn.
"""

from farback.plots.best_after import best_after
from farback.plots.forest import forest
from farback.plots.horizon_map import horizon_map
from farback.plots.importances import importances
from farback.plots.kernel import kernel
from farback.plots.maps import maps
from farback.plots.parallel import parallel
from farback.plots.pareto import pareto
from farback.plots.ranking import improvement, ranking, skills
from farback.plots.retention import retention
from farback.plots.save import offscreen, picture, save
from farback.plots.seen_fresh import seen_fresh
from farback.plots.skill_by_lag import skill_by_lag
from farback.plots.slices import slices
from farback.plots.staircase import staircase
from farback.plots.success import success

__all__ = [
    "best_after",
    "forest",
    "horizon_map",
    "importances",
    "improvement",
    "kernel",
    "maps",
    "offscreen",
    "parallel",
    "pareto",
    "picture",
    "ranking",
    "retention",
    "save",
    "seen_fresh",
    "skill_by_lag",
    "skills",
    "slices",
    "staircase",
    "success",
]
