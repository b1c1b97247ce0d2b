"""Experiments: a YAML file becomes trials or a search, or a list of what is wrong with it, each with its place."""

from farback.experiment.experiment import Experiment
from farback.experiment.problems import ConfigError, Problem
from farback.experiment.schema import schema
from farback.experiment.search import Group, Objective, Search
from farback.experiment.sweep import Axis, Grid

__all__ = ["Axis", "ConfigError", "Experiment", "Grid", "Group", "Objective", "Problem", "Search", "schema"]
