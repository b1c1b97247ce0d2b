"""Optuna's samplers and pruners by the names that a config uses."""

from __future__ import annotations

import zlib
from importlib.util import find_spec

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import Trial

from farback.experiment import Search
from farback.experiment.search_space import Dimension, Plain
from farback.records.user_error import UserError

GENERATIONS = 4  # how many generations of NSGA-II fit into the budget
LARGEST_POPULATION = 50
WARM_UP = 3  # median and hyperband do not judge in the first third of the updates: some networks learn late


def sampler(search: Search, slot: int) -> BaseSampler:
    """The sampler for one slot of the budget, seeded with the search's seed and the slot.

    A sampler seeded once per process would draw the same points again after a resume, and in a second process.

    Raises:
        UserError: the sampler needs a package that is not installed.
    """
    name = search.options.sampler.name
    seed = zlib.crc32(f"{search.options.sampler.seed} {slot}".encode())
    if name == "tpe":
        return TPESampler(seed=seed, group=any(dimension.when for dimension in search.space))
    if name == "gp":
        return GPSampler(seed=seed, warn_independent_sampling=False)
    if name == "cmaes":
        if find_spec("cmaes") is None:
            raise UserError("the sampler cmaes needs the package cmaes: pip install 'farback[search]'")
        return CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if name == "nsga2":
        population = min(LARGEST_POPULATION, max(2, search.options.trials // GENERATIONS))
        return NSGAIISampler(seed=seed, population_size=population)
    return RandomSampler(seed=seed)  # also for a grid, whose points are enqueued


def pruner(search: Search, steps: int) -> BasePruner:
    """The pruner of a search whose networks train for `steps` updates."""
    name = search.options.pruner
    if name == "wilcoxon":
        return WilcoxonPruner()
    if name == "median":
        return MedianPruner(n_warmup_steps=steps // WARM_UP)
    if name == "hyperband":
        return HyperbandPruner(min_resource=max(1, steps // WARM_UP), max_resource=max(1, steps))
    return NopPruner()


def suggestion(trial: Trial, dimension: Dimension) -> Plain:
    """The value that the sampler of a trial's study suggests for a dimension."""
    path, log = dimension.path, dimension.log
    if dimension.kind == "categorical":
        return trial.suggest_categorical(path, dimension.scalars())
    if dimension.kind == "int":
        step = 1 if log else int(dimension.step or 1)
        return trial.suggest_int(path, int(dimension.low), int(dimension.high), log=log, step=step)
    return trial.suggest_float(path, dimension.low, dimension.high, log=log, step=dimension.step)
