"""A table in, a figure out: each figure draws exactly the numbers of the table it is given.

The only place that imports matplotlib and seaborn.
"""

from farback.plots.best_after import best_after
from farback.plots.forest import forest
from farback.plots.horizon_map import horizon_map
from farback.plots.importances import importances
from farback.plots.parallel import parallel
from farback.plots.pareto import pareto
from farback.plots.retention import retention
from farback.plots.save import offscreen, picture, save
from farback.plots.seen_fresh import seen_fresh
from farback.plots.slices import slices
from farback.plots.success import success

__all__ = [
    "best_after",
    "forest",
    "horizon_map",
    "importances",
    "offscreen",
    "parallel",
    "pareto",
    "picture",
    "retention",
    "save",
    "seen_fresh",
    "slices",
    "success",
]
