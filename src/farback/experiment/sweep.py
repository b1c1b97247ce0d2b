"""A sweep: every combination of its grids is a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from typing_extensions import override

from farback.experiment.expansion import expanded
from farback.experiment.experiment import Common, Experiment, loads
from farback.experiment.grids import Grid, grids
from farback.experiment.problems import Problem
from farback.experiment.sections import claims_section
from farback.experiment.selection import selected
from farback.experiment.yaml_tree import Entry
from farback.records.claim import Claim
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Sweep(Experiment):
    """A config with grids of trials.

    Attributes:
        grids: in the order of the config; without a `sweep:`, one without axes.
        made: the trials of each grid.
        claims: published statements that it checks; part of no trial.
    """

    grids: tuple[Grid, ...] = ()
    made: tuple[tuple[Trial, ...], ...] = field(default=(), repr=False)
    claims: tuple[Claim, ...] = ()

    def trials(self) -> list[Trial]:
        """Every trial: grid after grid as written, the last axis of a grid fastest."""
        return [trial for trials in self.made for trial in trials]

    def only(self, filters: Sequence[str]) -> list[Trial]:
        """The trials that pass every filter, such as `cell=lstm`, `lag=5,10`, `cell.nonlinearity=tanh`.

        Raises:
            ConfigError: a key or a value that no trial has, with the choices.
        """
        return selected(self.trials(), filters)

    def shifted(self, seeds: int) -> Self:
        """The same sweep with a number added to every seed: other networks and other data."""
        made = tuple(tuple(trial.reseeded(trial.seed + seeds) for trial in trials) for trials in self.made)
        return replace(self, made=made, seeds_shifted=self.seeds_shifted + seeds)

    def brackets(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Of these trials, groups that differ in the lag only and are picked by bisection, by rising lag."""
        wanted = {trial.key for trial in trials if trial.bracket}
        chains: dict[tuple[int, ...], list[Trial]] = {}
        for index, (grid, made) in enumerate(zip(self.grids, self.made, strict=True)):
            if not grid.bracket:
                continue
            for combination, trial in zip(grid.combinations(), made, strict=True):
                if trial.key in wanted:
                    others = [level for axis, level in zip(grid.axes, combination, strict=True) if not axis.bracket]
                    chains.setdefault((index, *others), []).append(trial)
        return [tuple(sorted(chain, key=lambda trial: trial.lag)) for chain in chains.values()]

    @override
    def contrasts(self) -> list[tuple[str, str, list[Trial]]]:
        """For each axis of each grid: the other axes stay at their first level.

        Paths paired by `zip` are one axis. An axis with one level is left out.
        """
        found = []
        for grid, trials in zip(self.grids, self.made, strict=True):
            stride = grid.count
            for axis in grid.axes:
                count = len(axis.levels)
                stride //= count
                if count > 1:
                    found.append((axis.path, str(axis.keys[0]), [trials[level * stride] for level in range(count)]))
        return found


@loads("sweep")
def _load(
    common: Common, base: Entry, sweep: Entry | None, claims: Entry | None, problems: list[Problem]
) -> Sweep | None:
    checked = claims_section(claims, problems)
    found = grids(sweep, base.key, problems)
    made = expanded(base, [] if problems else found, problems)
    return None if problems else Sweep(*common, tuple(found), tuple(made), checked)
