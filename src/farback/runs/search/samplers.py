"""Optuna's samplers and pruners, as a search names them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from farback.experiment import Search
from farback.experiment.search_space import Dimension, Plain
from farback.records.record import UserError

POPULATIONS = 4  # generations that NSGA-II gets from its budget
LARGEST_POPULATION = 50
WARM_UP = 3  # median and hyperband let a third of the updates pass before they judge: late bloomers are real


class BySlot(BaseSampler):
    """A sampler that draws each trial from a generator of the search's seed and the trial's slot.

    A sampler seeded once would begin again with the same numbers whenever the search is resumed, or by a second
    process, and try the same points twice.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self.make, self.seed = make, seed
        self.inner = make(seed)

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        slot = trial.user_attrs.get("slot", trial.number)
        self.inner = self.make(zlib.crc32(f"{self.seed} {slot}".encode()))
        return self.inner

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Change to the trial's generator."""
        self._of(trial).before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler's."""
        space: dict[str, BaseDistribution] = self.inner.infer_relative_search_space(study, trial)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler's."""
        values: dict[str, Any] = self.inner.sample_relative(study, trial, search_space)
        return values

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler's."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As the sampler's."""
        self._of(trial).after_trial(study, trial, state, values)


def sampler(search: Search) -> BaseSampler:
    """The sampler of a search.

    Raises:
        UserError: it needs a package that is not installed.
    """
    name = search.options.sampler.name
    conditional = any(dimension.when for dimension in search.space)
    population = min(LARGEST_POPULATION, max(2, search.options.trials // POPULATIONS))
    if name == "cmaes" and find_spec("cmaes") is None:
        raise UserError("the sampler cmaes needs the package cmaes: pip install 'farback[search]'")
    make: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": lambda seed: TPESampler(seed=seed, group=conditional),
        "gp": lambda seed: GPSampler(seed=seed, warn_independent_sampling=False),
        "cmaes": lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
        "random": lambda seed: RandomSampler(seed=seed),
        "grid": lambda seed: RandomSampler(seed=seed),  # its points are set beforehand
        "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=population),
    }
    return BySlot(make[name], search.options.sampler.seed)


def pruner(search: Search, steps: int) -> BasePruner:
    """The pruner of a search whose trainings take `steps` updates."""
    name = search.options.pruner
    if name == "wilcoxon":
        return WilcoxonPruner()
    if name == "median":
        return MedianPruner(n_warmup_steps=steps // WARM_UP)
    if name == "hyperband":
        return HyperbandPruner(min_resource=max(1, steps // WARM_UP), max_resource=max(1, steps))
    return NopPruner()


def suggested(trial: Trial, one: Dimension) -> Plain:
    """What the sampler chooses of a dimension."""
    value: Plain
    if one.kind == "categorical":
        value = trial.suggest_categorical(one.path, one.scalars())
    elif one.kind == "int":
        step = 1 if one.log else int(one.step or 1)
        value = trial.suggest_int(one.path, int(one.low), int(one.high), log=one.log, step=step)
    else:
        value = trial.suggest_float(one.path, one.low, one.high, log=one.log, step=one.step)
    return value
