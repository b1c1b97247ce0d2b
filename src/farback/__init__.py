"""How far back does each recurrent network remember?

The public names are listed in `__all__`. They are imported when they are first used, so that `import farback` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farback import cells, inits, measures, search, stats, tasks
    from farback.experiment import ConfigError, Experiment
    from farback.network import from_torch, states, to_torch
    from farback.runner import Summary, frame, run

_HOME = {
    "ConfigError": "experiment",
    "Experiment": "experiment",
    "Summary": "runner",
    "frame": "runner",
    "from_torch": "network",
    "run": "runner",
    "states": "network",
    "to_torch": "network",
}
_PACKAGES = ("cells", "inits", "measures", "search", "stats", "tasks")

__all__ = [
    "ConfigError",
    "Experiment",
    "Summary",
    "cells",
    "frame",
    "from_torch",
    "inits",
    "measures",
    "run",
    "search",
    "states",
    "stats",
    "tasks",
    "to_torch",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"farback.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"farback.{_HOME[name]}"), name)
    raise AttributeError(f"module 'farback' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
