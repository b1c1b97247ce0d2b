"""Experiments: a YAML file becomes a sweep or a search, or a list of what is wrong with it, each with its place."""

from farback.experiment import search_config as search_config  # registers how a search is loaded
from farback.experiment.experiment import Experiment
from farback.experiment.grids import Axis, Grid
from farback.experiment.problems import ConfigError, Problem
from farback.experiment.schema import schema
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
