"""A sweep: every combination of its grids is a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from typing_extensions import override

from farback.experiment.expansion import expanded
from farback.experiment.experiment import LOADERS, Experiment
from farback.experiment.grids import Grid, grids
from farback.experiment.lag_search import LagSearch
from farback.experiment.problems import Problems
from farback.experiment.selection import selected
from farback.experiment.yaml_tree import KeyValue
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Sweep(Experiment):
    """A config with grids of trials.

    Attributes:
        grids: the grids in the order of the config. A config without `sweep:` has one grid without axes.
        made: the trials of each grid.
    """

    grids: tuple[Grid, ...] = ()
    made: tuple[tuple[Trial, ...], ...] = field(default=(), repr=False)

    def trials(self) -> list[Trial]:
        """Every trial, grid by grid; within a grid the last axis changes fastest.

        Where lags are adaptive, these are the trials at the smallest and the largest lag with the first seed: they
        stand for the ones that are chosen during the run (`searches`).
        """
        return [trial for trials in self.made for trial in trials]

    def only(self, filters: Sequence[str]) -> list[Trial]:
        """The trials that pass every filter, such as `cell=lstm`, `lag=5,10`, `cell.nonlinearity=tanh`.

        Raises:
            ConfigError: no trial has this key or this value; the message lists the choices.
        """
        return selected(self.trials(), filters)

    def shifted(self, seeds: int) -> Self:
        """The same sweep with `seeds` added to every seed, which changes the initial weights and the data."""
        made = tuple(tuple(trial.changed(seed=trial.seed + seeds) for trial in trials) for trials in self.made)
        return replace(self, made=made, seeds_shifted=self.seeds_shifted + seeds)

    def searches(self, trials: Sequence[Trial]) -> list[LagSearch]:
        """The networks among these trials whose lags are adaptive, each with its tuned settings that are among them."""
        selected = {trial.key for trial in trials if trial.adaptive}
        networks: dict[tuple[int, ...], list[tuple[str, Trial]]] = {}
        for index, (grid, made) in enumerate(zip(self.grids, self.made, strict=True)):
            if not grid.adaptive:
                continue
            for combination, trial in zip(grid.combinations(), made, strict=True):
                if trial.key in selected and trial.lag == grid.adaptive.adaptive[0]:
                    levels = list(zip(grid.axes, combination, strict=True))
                    others = [level for axis, level in levels if not axis.tuned]
                    tuned = ", ".join(axis.named(level) for axis, level in levels if axis.tuned)
                    networks.setdefault((index, *others), []).append((tuned, trial))
        return [LagSearch(*map(tuple, zip(*arms, strict=True))) for arms in networks.values()]

    @override
    def contrasts(self) -> list[tuple[str, str, list[Trial]]]:
        """For each axis of each grid, the trials along it with all other axes at their first level.

        Paths paired by `zip` are one axis. An axis with one level is left out.
        """
        contrasts = []
        for grid, trials in zip(self.grids, self.made, strict=True):
            stride = grid.count
            for axis in grid.axes:
                count = len(axis.levels)
                stride //= count
                if count > 1:
                    contrasts.append((axis.path, str(axis.keys[0]), [trials[level * stride] for level in range(count)]))
        return contrasts


def _sweep(common: dict[str, Any], base: KeyValue, sweep: KeyValue | None, problems: Problems) -> Sweep | None:
    made_grids = grids(sweep, base.key, problems)
    trials = expanded(base, [] if problems else made_grids, problems)
    return None if problems else Sweep(**common, grids=tuple(made_grids), made=tuple(trials))


LOADERS["sweep"] = _sweep
