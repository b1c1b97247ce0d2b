"""What the scripts of claims share: shares of seeds, medians over seeds, and the parts of their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from farback import stats, tables
from farback.report.analysis import Figure, Table, estimate
from farback.report.sweep_report import name_of
from farback.report.verdicts import Finding, Verdict

LEAST = -0.25  # skill: one network that is sure and wrong has -5, and would press all others flat


@dataclass(frozen=True)
class Share:
    """How many seeds did something."""

    successes: int
    trials: int

    @property
    def value(self) -> float:
        """The share."""
        return self.successes / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson, 95 %."""
        return stats.wilson(self.successes, self.trials)

    @property
    def most(self) -> bool:
        """Whether half of the seeds or more did."""
        return 2 * self.successes >= self.trials

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count} ({100 * low:.0f} to {100 * high:.0f} %)"

    @property
    def count(self) -> str:
        """Without an interval: of what is computed and not sampled."""
        return f"{self.successes} of {self.trials}"


@dataclass(frozen=True)
class Middle:
    """A median over seeds and its interval (`stats.median_interval`)."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Its ends."""
        return self.low, self.high

    @classmethod
    def of(cls, values: Sequence[float] | pd.Series[float]) -> Middle:
        """Of one value a seed."""
        return cls(stats.median(values), *stats.median_interval(values))

    def above(self, other: Middle) -> bool:
        """Whether it lies above, intervals included."""
        return self.low > other.high

    def __str__(self) -> str:
        return estimate(self.value, self.low, self.high)


def chosen(outcomes: pd.DataFrame, **where: object) -> pd.DataFrame:
    """The rows of `tables.outcomes` that have these values.

    Raises:
        ValueError: there are none.
    """
    own = outcomes
    for name, value in where.items():
        own = own[own[name] == value]
    if own.empty:
        raise ValueError(f"no trial has {where}")
    return own


def share(outcomes: pd.DataFrame, least: float | None = None, **where: object) -> Share:
    """How many of those trials learned it: half-way from chance to perfect, or a skill of at least `least`."""
    own = chosen(outcomes, **where)
    passed = own["passed"] if least is None else own["skill"] >= least
    return Share(int(passed.sum()), len(own))


def middle(outcomes: pd.DataFrame, column: str = "skill", **where: object) -> Middle:
    """The median of a column over those trials; one that diverged has no skill, and an infinite loss."""
    own = chosen(outcomes, **where)[column]
    return Middle.of(own.fillna(float("inf") if column == "loss" else 0.0))


def answered(
    number: Share | Middle | str,
    unit: str,
    confirmed: bool,
    refuted: bool,
    on: str,
    run: str,
    of: Share | Middle | None = None,
) -> Finding:
    """A row of the ledger.

    Args:
        number: as a person reads it.
        unit: of its value.
        confirmed: whether what counts as confirmed came out.
        refuted: whether what counts as refuted did; neither is "depends".
        on: on what, then.
        run: what was run (`conditions`).
        of: the number and its interval for machines, where `number` is a text of several.
    """
    verdict: Verdict = "confirmed" if confirmed else "refuted" if refuted else "depends"
    one = of if isinstance(number, str) else number
    value, (low, high) = (None, (None, None)) if one is None else (one.value, one.interval)
    return Finding(str(number), value, low, high, unit, verdict, on if verdict == "depends" else "", run)


def outcome_tables(outcomes: pd.DataFrame, by: Sequence[str], caption: str) -> list[Table]:
    """A row for each group and lag: how many seeds learned it, medians of skill and accuracy; and the same by seed."""
    keys = list(dict.fromkeys([*by, "lag"]))
    rows, shown, seeds = [], [], []
    for group, own in outcomes.groupby(keys, sort=False, dropna=False):
        named = dict(zip(keys, group, strict=True))
        learned, skill, accuracy = share(own), middle(own), middle(own, "accuracy")
        updates = float(own["updates"].median())
        low, high = learned.interval
        numbers = {
            "seeds": learned.trials,
            "successes": learned.successes,
            "low": low,
            "high": high,
            "skill": skill.value,
            "skill_low": skill.low,
            "skill_high": skill.high,
            "accuracy": accuracy.value,
            "updates": updates,
            "diverged": int(own["diverged"].sum()),
        }
        rows.append(named | numbers)
        heads = {name_of(name): str(value) for name, value in named.items()}
        texts = {"learned it": str(learned), "skill": str(skill), "accuracy": f"{accuracy.value:.3f}"}
        texts |= {"updates": f"{updates:.0f}"}
        texts |= {"diverged": str(numbers["diverged"])} if outcomes["diverged"].any() else {}
        shown.append(heads | texts)
        seeds.append(
            heads | {f"seed {seed}": f"{one:.3f}" for seed, one in zip(own["seed"], own["skill"], strict=True)}
        )
    return [
        Table("outcomes", caption, pd.DataFrame(rows), pd.DataFrame(shown)),
        Table("outcomes_seeds", "The same, seed by seed: skill", outcomes, pd.DataFrame(seeds).fillna("")),
    ]


def learning_figure(
    scores: pd.DataFrame, title: str, panel: str | None = None, line: str = "label", level: float | None = None
) -> Figure:
    """Validated skill against updates, a line a network and a panel for each level of `panel`."""
    from farback import plots  # matplotlib takes a second to import

    by = [line] if panel is None else [panel, line]
    curves = tables.learning_curves(scores, by)
    shown = curves.assign(**{name: curves[name].clip(lower=LEAST) for name in ("median", "low", "high")})
    cut = f"; below {LEAST:g} drawn there" if (curves["low"] < LEAST).any() else ""
    value = f"skill (0 chance, 1 perfect{cut})"
    drawing = plots.trend(shown, "step", line, panel, title=title, value=value, setting="updates", level=level)
    alt = "Validated skill against the updates so far, one line a network, with intervals over the seeds that train."
    return Figure("learning", title, drawing, curves, alt)


def conditions(scores: pd.DataFrame) -> str:
    """What was run, for a row of the ledger: seeds, updates, batch, size, optimizer."""
    counts = scores.groupby("label")["seed"].nunique()
    parts = [f"{_levels(counts)} seeds", f"{_levels(scores['steps'])} updates of {_levels(scores['batch'])}"]
    if "hidden" in scores:
        parts.append(f"{_levels(scores['hidden'])} units")
    rates = _levels(scores["optimizer.lr"])
    parts.append(f"{' or '.join(sorted(set(scores['optimizer.name'])))} at {rates}")
    return ", ".join(parts)


def _levels(column: pd.Series[Any]) -> str:
    values = sorted(set(column.dropna().astype(float)))
    return " or ".join(f"{value:g}" for value in values) if len(values) <= 3 else f"{values[0]:g} to {values[-1]:g}"


def only(table: pd.DataFrame, **where: object) -> dict[Any, Any]:
    """The one row of a table that has these values.

    Raises:
        ValueError: there is none, or there are several.
    """
    rows = chosen(table, **where).to_dict("records")
    if len(rows) > 1:
        raise ValueError(f"{len(rows)} rows have {where}")
    return rows[0]


def mean_horizon(row: Mapping[Any, Any]) -> Middle:
    """The mean over seeds of a row of `tables.trainability` or `tables.retention_horizons`."""
    return Middle(float(row["estimate"]), float(row["low"]), float(row["high"]))
