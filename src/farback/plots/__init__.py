"""A table in, a figure out: each figure draws exactly the numbers of the table it is given.

The only place that imports matplotlib and seaborn.
"""

from farback.plots.forest import forest
from farback.plots.horizon_map import horizon_map
from farback.plots.kernel import kernel
from farback.plots.maps import maps
from farback.plots.ranking import improvement, ranking, skills
from farback.plots.retention import retention
from farback.plots.save import save
from farback.plots.skill_by_lag import skill_by_lag
from farback.plots.staircase import staircase
from farback.plots.success import success

__all__ = [
    "forest",
    "horizon_map",
    "improvement",
    "kernel",
    "maps",
    "ranking",
    "retention",
    "save",
    "skill_by_lag",
    "skills",
    "staircase",
    "success",
]
