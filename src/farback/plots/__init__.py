"""A table in, a figure out: each figure draws exactly the numbers of the table it is given.

The only place that imports matplotlib and seaborn.
"""

from farback.plots.calibration import calibration
from farback.plots.fields import interference, length_map
from farback.plots.forest import forest
from farback.plots.gates import gate_times
from farback.plots.gradients import gradients
from farback.plots.horizon_map import horizon_map
from farback.plots.lyapunov import lyapunov
from farback.plots.memory import memory
from farback.plots.progress import progress
from farback.plots.reaches import reaches
from farback.plots.retention import retention
from farback.plots.save import save
from farback.plots.success import success
from farback.plots.trend import trend

__all__ = [
    "calibration",
    "forest",
    "gate_times",
    "gradients",
    "horizon_map",
    "interference",
    "length_map",
    "lyapunov",
    "memory",
    "progress",
    "reaches",
    "retention",
    "save",
    "success",
    "trend",
]
