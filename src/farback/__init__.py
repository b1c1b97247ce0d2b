"""How far back does each recurrent network remember?

The public names are in `__all__`. Each is imported on first use, which keeps `import farback` quick.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farback import cells, inits, measures, plots, stats, tables, tasks
    from farback.experiment import ConfigError, Experiment
    from farback.networks.network import from_torch, states, to_torch
    from farback.runs.frames import frame
    from farback.runs.horizon import horizon
    from farback.runs.horizon_result import HorizonResult
    from farback.runs.progress import Summary
    from farback.runs.sweep import run

_MODULES = {
    "ConfigError": "experiment",
    "Experiment": "experiment",
    "HorizonResult": "runs.horizon_result",
    "Summary": "runs.progress",
    "frame": "runs.frames",
    "from_torch": "networks.network",
    "horizon": "runs.horizon",
    "run": "runs.sweep",
    "states": "networks.network",
    "to_torch": "networks.network",
}
# `search` is an alias because importing optuna is slow; the other names are those of 0.1.0.
_MOVED = {
    "search": "runs.search",
    "network": "networks.network",
    "tasks.answers": "tasks.support.answers",
    "measures.system": "measures.support.system",
    "report.checked": "report.claim_scripts",
    "report.standard": "report.sweep_report",
}

__all__ = [
    "ConfigError",
    "Experiment",
    "HorizonResult",
    "Summary",
    "cells",
    "frame",
    "from_torch",
    "horizon",
    "inits",
    "measures",
    "plots",
    "run",
    "search",
    "states",
    "stats",
    "tables",
    "tasks",
    "to_torch",
]


class _Alias(ModuleType):
    """A module of `_MOVED`, imported when one of its names is used.

    `farback.search` can be called: `farback.search("tune")` calls `farback.search.search("tune")`.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        return getattr(importlib.import_module(f"farback.{_MOVED[self.__name__.removeprefix('farback.')]}"), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.search(*args, **options)


for _name in _MOVED:
    sys.modules[f"farback.{_name}"] = _Alias(f"farback.{_name}", _Alias.__doc__)
search: Any = sys.modules["farback.search"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"farback.{_MODULES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"farback.{name}")
    raise AttributeError(f"module 'farback' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
