"""How far back does each recurrent network remember?

The public names are in `__all__`. Each is imported on first use, which keeps `import farback` quick.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farback import cells, inits, measures, stats, tasks
    from farback.experiment import ConfigError, Experiment
    from farback.networks.network import from_torch, states, to_torch
    from farback.runs.progress import Summary
    from farback.runs.sweep import frame, run

_MODULES = {
    "ConfigError": "experiment",
    "Experiment": "experiment",
    "Summary": "runs.progress",
    "frame": "runs.sweep",
    "from_torch": "networks.network",
    "run": "runs.sweep",
    "states": "networks.network",
    "to_torch": "networks.network",
}
_PACKAGES = ("cells", "inits", "measures", "stats", "tasks")

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


class _Search(ModuleType):
    """`farback.search`: an alias of `farback.runs.search`, imported on first use, because importing optuna is slow.

    The module itself can be called: `farback.search("tune")` calls `farback.search.search("tune")`.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module("farback.runs.search"), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.search(*args, **options)


search = sys.modules[f"{__name__}.search"] = _Search(f"{__name__}.search", _Search.__doc__)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"farback.{name}")
    if name in _MODULES:
        return getattr(importlib.import_module(f"farback.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'farback' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
