"""The result of an experiment as tables, figures and a verdict, before it becomes a page."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from farback.report.evidence import Evidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

HELD, REFUTED = "Held: ", "**Refuted**: "  # the first words of a line of a verdict
DECIMALS = 4  # at most, for scores from 0 to 1: smaller differences come from seeds and test sequences


@dataclass(frozen=True)
class Table:
    """A table of the report. `frame` is written to `name`.csv; `shown` has the texts for the page.

    With `parquet` it is also written to `name`.parquet, for a table that others read by program.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    shown: pd.DataFrame
    parquet: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure of the report, and the numbers that it draws. `alt` describes it in a sentence."""

    name: str
    caption: str
    drawing: Drawing
    frame: pd.DataFrame
    alt: str


@dataclass(frozen=True)
class Analysis:
    """The answer to an experiment's question.

    Attributes:
        headline: one sentence, with interval and conditions.
        verdict: whether the prediction held, line by line.
        parts: tables and figures in the order of the page; the first table is the headline table.
        metrics: aggregates by name, for the summary run in MLflow.
        tags: texts by name, for the same run, such as which horizons are bounds.
    """

    headline: str
    verdict: list[str]
    parts: list[Table | Figure] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """The tables, headline first."""
        return [part for part in self.parts if isinstance(part, Table)]

    @property
    def figures(self) -> list[Figure]:
        """The figures, in the order of the page."""
        return [part for part in self.parts if isinstance(part, Figure)]


def held(found: Evidence | bool, claim: str, numbers: str = "") -> str:
    """One line of a verdict: whether the prediction `claim` held, and the numbers that were found.

    Args:
        found: the evidence: `above`, `at_least`, `below` or `at_most` (intervals), `tested` (a p-value), or `exact`
            (no sampling error). "Held" and "Refuted" need significant evidence; else the line says "in these seeds,
            not significant", or "Not decided" where the numbers cannot be compared. A plain bool is a statement
            without a test: the line says "in these seeds, not tested".
        numbers: what was found, with the interval or the p-value.
    """
    tested = isinstance(found, Evidence)
    true, significant = (found.true, found.significant) if isinstance(found, Evidence) else (found, False)
    numbers = f" ({numbers})" if numbers else ""
    if true is None:
        return f"Not decided: {claim}{numbers}."
    if significant:
        return f"{HELD}{claim}{numbers}." if true else f"{REFUTED}that {claim}{numbers}."
    limit = f"in these seeds, not {'significant' if tested else 'tested'}"
    return f"Held {limit}: {claim}{numbers}." if true else f"Refuted {limit}: that {claim}{numbers}."


def outcome(line: str) -> Literal["held", "refuted", "noted"]:
    """Whether a line of a verdict says that a prediction held or was refuted; "noted" for any other line."""
    return "held" if line.startswith(HELD) else "refuted" if line.startswith(REFUTED) else "noted"


def markdown(frame: pd.DataFrame) -> str:
    """A frame of texts as a Markdown table."""
    rows = [[str(name) for name in frame.columns], ["---"] * len(frame.columns)]
    rows += [[str(cell).replace("|", "\\|") for cell in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def three(value: float) -> str:
    """A number with three significant digits and without an exponent: 1500, not 1.5e+03."""
    return f"{float(f'{value:.3g}'):.10g}"


def estimate(value: float, low: float, high: float, sign: str = "") -> str:
    """A number with its interval, to two digits of the interval's width: "0.9964 (0.9951 to 0.9978)".

    The sign "+" marks positive numbers.
    """
    numbers = (value, low, high)
    scale = min(high - low, abs(value) or high - low)
    if all(float(number).is_integer() for number in numbers) or not 0 < scale < math.inf:
        texts = [sign * (number >= 0) + three(number) for number in numbers]
    else:
        decimals = min(max(1 - math.floor(math.log10(scale)), 0), DECIMALS)
        texts = [f"{round(number, decimals) + 0.0:{sign}.{decimals}f}" for number in numbers]
    return "{} ({} to {})".format(*texts)
