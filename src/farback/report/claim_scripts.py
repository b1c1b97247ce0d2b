"""Functions for the scripts that judge claims: shares of seeds, medians over seeds, and parts of their pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from farback import plots, stats, tables
from farback.records.counted_nouns import counted
from farback.report.analysis import Figure, Table, estimate, three
from farback.report.claim_verdicts import Finding, Verdict
from farback.report.evidence import Evidence, at_least, exact, tested
from farback.report.group_columns import name_of, rows_with

ENOUGH = 5  # seeds: the interval of a median from the smallest to the largest value is then one of 94 %
STARTS = {"torch": "PyTorch's default", "forget_bias": "forget bias 1", "chrono": "chrono"}  # of LSTM, in claims
LEAST = -0.25  # the smallest skill drawn: a confident network that is wrong has -5, which would flatten all others


@dataclass(frozen=True)
class Share:
    """How many of the seeds succeeded."""

    successes: int
    trials: int

    @property
    def value(self) -> float:
        """The successes divided by the trials."""
        return self.successes / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval."""
        return stats.wilson(self.successes, self.trials)

    @property
    def limits(self) -> tuple[float, float]:
        """The interval, for `above` and its like."""
        return self.interval

    @property
    def most(self) -> Evidence:
        """Whether half of the seeds or more succeed: significant where the interval lies on one side of one half."""
        return at_least(self, 0.5)

    @property
    def every(self) -> Evidence:
        """Whether every seed succeeds: one failure refutes it; else significant if the interval excludes one half."""
        return self.most if self.successes == self.trials else exact(False)

    @property
    def none(self) -> Evidence:
        """Whether no seed succeeds: one success refutes it; else significant if the interval excludes one half."""
        return ~self.most if not self.successes else exact(False)

    def more_often(self, other: Share) -> Evidence:
        """Whether this share is larger than another, by `difference_p`."""
        return tested(self.value > other.value, self.difference_p(other))

    def difference_p(self, other: Share) -> float:
        """The two-sided p-value of the exact permutation test of two shares; for equal sizes, Fisher's test."""
        own, others = ([1.0] * one.successes + [0.0] * (one.trials - one.successes) for one in (self, other))
        return stats.compare(own, others).p

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count} ({100 * low:.0f} to {100 * high:.0f} %)"

    @property
    def count(self) -> str:
        """The two numbers as text without an interval, for numbers without sampling error."""
        return f"{self.successes} of {self.trials}"


@dataclass(frozen=True)
class Middle:
    """A median over seeds and its interval (`stats.median_interval`), or another number with an interval of 95 %.

    Attributes:
        enough: whether the interval is one of about 95 %. A median needs five seeds (94 %); with fewer, comparisons
            with it are never significant.
    """

    value: float
    low: float
    high: float
    enough: bool = True

    @property
    def interval(self) -> tuple[float, float]:
        """The two ends of the interval."""
        return self.low, self.high

    @property
    def limits(self) -> tuple[float, float]:
        """The interval for `above` and its like: unbounded for a median of too few seeds."""
        return self.interval if self.enough else (-math.inf, math.inf)

    @classmethod
    def of(cls, values: Sequence[float] | pd.Series[float]) -> Middle:
        """The median of one value per seed."""
        return cls(stats.median(values), *stats.median_interval(values), enough=len(values) >= ENOUGH)

    @classmethod
    def in_row(cls, row: Mapping[Any, Any]) -> Middle:
        """The median in a row of `tables.numbers`, `tables.rates` or `tables.memory_curves`."""
        enough = int(row["seeds"]) >= ENOUGH
        return cls(float(row["median"]), float(row["low"]), float(row["high"]), enough=enough)

    def minus(self, other: Middle) -> Middle:
        """The difference of two medians; its interval joins opposite ends, so that it is wider than one of 95 %."""
        enough = self.enough and other.enough
        return Middle(self.value - other.value, self.low - other.high, self.high - other.low, enough)

    def times(self, factor: float) -> Middle:
        """The number and its interval times a factor above 0."""
        return Middle(self.value * factor, self.low * factor, self.high * factor, self.enough)

    def __str__(self) -> str:
        return estimate(self.value, self.low, self.high)


def chosen(outcomes: pd.DataFrame, **where: object) -> pd.DataFrame:
    """The rows of `tables.outcomes` that have these values.

    Raises:
        ValueError: no row has them.
    """
    own = rows_with(outcomes, where)
    if own.empty:
        raise ValueError(f"no trial has {where}")
    return own


def share(outcomes: pd.DataFrame, least: float | None = None, **where: object) -> Share:
    """How many trials with these values learned the task: they passed, or have a skill of at least `least`."""
    own = chosen(outcomes, **where)
    passed = own["passed"] if least is None else own["skill"] >= least
    return Share(int(passed.sum()), len(own))


def middle(outcomes: pd.DataFrame, column: str = "skill", **where: object) -> Middle:
    """The median of a column over trials with these values; a trial that diverged has skill 0 and infinite loss."""
    own = chosen(outcomes, **where)[column]
    return Middle.of(own.fillna(float("inf") if column == "loss" else 0.0))


def mean_accuracies(scores: pd.DataFrame, **lags: tuple[float, float]) -> pd.DataFrame:
    """A row for each network and seed, with its mean accuracy over tested lags.

    Args:
        lags: for each column, the first and the last lag.
    """
    curves = tables.retention_curves(scores)
    means = [
        curves[curves["lag"].between(*ends)].groupby(["label", "seed"])["accuracy"].mean().rename(name)
        for name, ends in lags.items()
    ]
    return pd.concat(means, axis=1).reset_index()


def answered(
    number: Share | Middle | str,
    unit: str,
    run: str,
    *,
    confirmed: Evidence,
    refuted: Evidence,
    depends: Evidence | None = None,
    on: str = "",
    reason: str = "the intervals leave it open: it takes more seeds",
    of: Share | Middle | None = None,
) -> Finding:
    """The finding for a claim: the verdict whose condition is true and significant, else "inconclusive".

    Args:
        number: the result; its text is shown on the page.
        run: what was run: seeds, updates, sizes.
        confirmed: the rule's condition for "confirmed".
        refuted: the rule's condition for "refuted".
        depends: the rule's condition for "depends", if the claim has one.
        on: what the verdict depends on, if it is "depends".
        reason: why nothing is decided, if the verdict is "inconclusive".
        of: the number and its interval for the CSV file, if `number` is a text with several numbers.

    Raises:
        ValueError: two conditions hold.
    """
    rule = {"confirmed": confirmed, "refuted": refuted, "depends": exact(False) if depends is None else depends}
    verdicts = [verdict for verdict, condition in rule.items() if condition.holds]
    if len(verdicts) > 1:
        raise ValueError(f"the conditions of a rule must exclude each other, but {' and '.join(verdicts)} hold both")
    verdict: Verdict = verdicts[0] if verdicts else "inconclusive"  # type: ignore[assignment]
    one = of if isinstance(number, str) else number
    value, (low, high) = (None, (None, None)) if one is None else (one.value, one.interval)
    depending, why = (on if verdict == "depends" else ""), (reason if verdict == "inconclusive" else "")
    return Finding(str(number), value, low, high, unit, verdict, depending, run, why)


def outcome_tables(outcomes: pd.DataFrame, by: Sequence[str], caption: str) -> list[Table]:
    """Two tables: by group and lag, how many seeds learned the task and median scores; and the skill of every seed."""
    keys = list(dict.fromkeys([*by, "lag"]))
    rows, shown, seeds = [], [], []
    for values, own in outcomes.groupby(keys, sort=False, dropna=False):
        group = dict(zip(keys, values, strict=True))
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
        rows.append(group | numbers)
        names = {name_of(name): str(value) for name, value in group.items()}
        texts = {"learned it": str(learned), "skill": str(skill), "accuracy": f"{accuracy.value:.3f}"}
        texts |= {"updates": f"{updates:.0f}"}
        texts |= {"diverged": str(numbers["diverged"])} if outcomes["diverged"].any() else {}
        shown.append(names | texts)
        skills = zip(own["seed"], own["skill"], strict=True)
        seeds.append(names | {f"seed {seed}": f"{value:.3f}" for seed, value in skills})
    return [
        Table("outcomes", caption, pd.DataFrame(rows), pd.DataFrame(shown)),
        Table("outcomes_seeds", "The same, seed by seed: skill", outcomes, pd.DataFrame(seeds).fillna("")),
    ]


def learning_figure(
    scores: pd.DataFrame, title: str, panel: str | None = None, line: str = "label", level: float | None = None
) -> Figure:
    """Validation skill against updates, a line for each network and a panel for each value of the column `panel`."""
    curves = tables.learning_curves(scores, [line] if panel is None else [panel, line])
    drawn = curves.assign(**{name: curves[name].clip(lower=LEAST) for name in ("median", "low", "high")})
    cut = f"; lower values drawn at {LEAST:g}" if (curves["low"] < LEAST).any() else ""
    value = f"skill (0 chance, 1 perfect{cut})"
    drawing = plots.trend(drawn, "step", line, panel, title=title, value=value, setting="updates", level=level)
    alt = "Validation skill against the updates so far, one line a network, with intervals over the seeds that train."
    return Figure("learning", title, drawing, curves, alt)


def conditions(scores: pd.DataFrame) -> str:
    """The conditions of a finding: seeds, updates, batch, size, optimizer."""
    counts = scores.groupby("label")["seed"].nunique()
    updates = counted(_levels(scores["steps"]), "update")
    parts = [counted(_levels(counts), "seed"), f"{updates} of {_levels(scores['batch'])}"]
    if "hidden" in scores:
        parts.append(counted(_levels(scores["hidden"]), "unit"))
    rates = _levels(scores["optimizer.lr"])
    return ", ".join([*parts, f"{' or '.join(sorted(set(scores['optimizer.name'])))} at {rates}"])


def _levels(column: pd.Series[Any]) -> str:
    """The values of a column as text: "1 or 2 or 3", or "1 to 9" if there are more than three."""
    values = sorted(set(column.dropna().astype(float)))
    return " or ".join(f"{value:g}" for value in values) if len(values) <= 3 else f"{values[0]:g} to {values[-1]:g}"


def only(table: pd.DataFrame, **where: object) -> dict[Any, Any]:
    """The only row of a table with these values.

    Raises:
        ValueError: no row has them, or several have.
    """
    rows = chosen(table, **where).to_dict("records")
    if len(rows) > 1:
        raise ValueError(f"{len(rows)} rows have {where}, expected one")
    return rows[0]


def mean_horizon(row: Mapping[Any, Any]) -> Middle:
    """A horizon with its interval, from a row of `tables.trainability` or `tables.retention_horizons`."""
    return Middle(float(row["estimate"]), float(row["low"]), float(row["high"]))


def shown_ratio(found: Middle) -> str:
    """A ratio of horizons as text with its interval."""
    low, high = (three(end) if math.isfinite(end) else "unknown" for end in found.interval)
    value = f"{three(found.value)} times" if math.isfinite(found.value) else "more than the lags tried can show"
    known = found.interval[0] > 0 or math.isfinite(found.interval[1])
    return f"{value} ({low} to {high})" if known else f"{value}, interval unknown"


def ratio(own: Mapping[Any, Any], base: Mapping[Any, Any]) -> Middle:
    """A horizon divided by another, two rows of `tables.trainability`; its interval divides opposite ends."""
    value = _quotient(own["estimate"], base["estimate"])
    return Middle(value, _quotient(own["low"], base["high"]), _quotient(own["high"], base["low"]))


def _quotient(above: float, under: float) -> float:
    """A quotient of two horizons: infinite over a horizon of 0, nan where both are 0 or both infinite."""
    if under > 0:
        return math.nan if math.isinf(above) and math.isinf(under) else above / under
    return math.inf if above > 0 else math.nan
