"""Reads a YAML config as a sweep or a search, or reports every mistake in it with its line and column."""

from farback.experiment import search_config as search_config  # registers the loader for searches
from farback.experiment.experiment import Experiment
from farback.experiment.grids import Axis, Grid
from farback.experiment.json_schema import schema
from farback.experiment.problems import ConfigError, Problem
from farback.experiment.search import Group, Search
from farback.experiment.search_objective import Objective
from farback.experiment.sweep import Sweep

__all__ = [
    "Axis",
    "ConfigError",
    "Experiment",
    "Grid",
    "Group",
    "Objective",
    "Problem",
    "Search",
    "Sweep",
    "schema",
]
