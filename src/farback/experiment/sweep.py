"""A sweep: every combination of its grids is a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from typing_extensions import override

from farback.experiment.chosen_trials import ChosenTrials
from farback.experiment.expansion import expanded
from farback.experiment.experiment import LOADERS, Experiment
from farback.experiment.grids import Grid, grids
from farback.experiment.problems import ConfigError, Problems
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

        Where lags are adaptive, these are the trials at the smallest and the largest lag with the first seed; where
        settings are tuned, those of every setting. They stand for the ones that are chosen during the run (`chosen`).
        """
        return [trial for trials in self.made for trial in trials]

    def only(self, filters: Sequence[str]) -> list[Trial]:
        """The trials that pass every filter, such as `cell=lstm`, `lag=5,10`, `cell.nonlinearity=tanh`.

        Raises:
            ConfigError: no trial has this key or this value; the message lists the choices. Or the key is tuned: the
                settings of a network are compared with each other.
        """
        problems = Problems()
        tuned = {path for grid in self.grids for path in grid.tuned}
        for text in filters:
            if (key := text.partition("=")[0].strip()) in tuned:
                problems.add(f"--only {text}", key, "the sweep tunes it: change its values in `tune:` of the config")
        if problems:
            raise ConfigError(problems)
        return selected(self.trials(), filters)

    def shifted(self, seeds: int) -> Self:
        """The same sweep with `seeds` added to every seed, which changes the initial weights and the data."""
        made = tuple(tuple(trial.changed(seed=trial.seed + seeds) for trial in trials) for trials in self.made)
        return replace(self, made=made, seeds_shifted=self.seeds_shifted + seeds)

    def chosen(self, trials: Sequence[Trial]) -> list[ChosenTrials]:
        """The networks whose trials are chosen during the run, each with its settings and seeds among these trials.

        The seeds on which a setting is chosen begin at the first seed of the config, whichever seeds are selected.
        """
        selected = {trial.key for trial in trials if trial.chosen}
        networks: list[ChosenTrials] = []
        for grid, made in zip(self.grids, self.made, strict=True):
            own: dict[tuple[int, ...], dict[str, list[Trial]]] = {}
            for combination, trial in zip(grid.combinations(), made, strict=True):
                levels = list(zip(grid.axes, combination, strict=True))
                if grid.is_chosen and not (grid.adaptive and trial.lag != grid.adaptive.adaptive[0]):
                    others = tuple(level for axis, level in levels if not axis.tuned and axis.paths != ("seed",))
                    tuned = ", ".join(axis.named(level) for axis, level in levels if axis.tuned)
                    own.setdefault(others, {}).setdefault(tuned, []).append(trial)
            for settings in own.values():
                kept = {tuned: of for tuned, of in settings.items() if any(trial.key in selected for trial in of)}
                seeds = {trial.seed for of in kept.values() for trial in of if trial.key in selected}
                arms = tuple(min(of, key=lambda trial: trial.seed) for of in kept.values())
                if arms:
                    judged = () if grid.adaptive else tuple(seed - arms[0].seed for seed in sorted(seeds))
                    networks.append(ChosenTrials(tuple(kept), arms, grid.adaptive, judged))
        return networks

    @override
    def contrasts(self, *, last: bool = False) -> list[tuple[str, str, list[Trial]]]:
        """For each axis of each grid, the trials along it with all other axes at their first level, or at their last.

        Paths paired by `zip` are one axis. An axis with one level is left out.
        """
        contrasts = []
        for grid, trials in zip(self.grids, self.made, strict=True):
            stride = grid.count
            for axis in grid.axes:
                count = len(axis.levels)
                stride //= count
                if count > 1:
                    start = grid.count - 1 - (count - 1) * stride if last else 0
                    along = [trials[start + level * stride] for level in range(count)]
                    contrasts.append((axis.path, str(axis.keys[0]), along))
        return contrasts


def _check_tuned_alike(grids: Sequence[Grid], made: Sequence[tuple[Trial, ...]], problems: Problems) -> None:
    """Check that a network trained at one lag is tuned in the same way in every grid: else it would be pooled."""
    tuned = {path for grid in grids for path in grid.tuned}
    rules: dict[tuple[tuple[str, str], ...], Grid] = {}
    for grid, trials in zip(grids, made, strict=True) if tuned else ():
        for trial in trials:
            values = {"label": trial.label, **trial.parameters()}
            network = tuple((name, str(value)) for name, value in values.items() if name not in {"lag", "seed", *tuned})
            other = rules.setdefault(network, grid)
            if trial.train_lags == "fixed" and other.tuned != grid.tuned:
                what = " and ".join(sorted(tuned))
                message = (
                    f"{trial.label} is tuned differently in {other.origin}: give every entry the same tune ({what})"
                )
                problems.add(grid.mark, grid.origin, message)
                break


def _sweep(common: dict[str, Any], base: KeyValue, sweep: KeyValue | None, problems: Problems) -> Sweep | None:
    made_grids = grids(sweep, base.key, problems)
    trials = expanded(base, [] if problems else made_grids, problems)
    if not problems:
        _check_tuned_alike(made_grids, trials, problems)
    return None if problems else Sweep(**common, grids=tuple(made_grids), made=tuple(trials))


LOADERS["sweep"] = _sweep
