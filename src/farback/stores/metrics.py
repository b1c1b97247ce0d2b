"""Names and points of what a trial is worth, as MLflow's charts and tables want them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

LONGEST = 250  # characters of a name, MLflow's limit
SMALLER_IS_BETTER = ("loss", "error")


class Point(NamedTuple):
    """One number of one curve."""

    name: str
    value: float
    step: int


def legal(name: str) -> str:
    """The name with every character that MLflow refuses replaced, and no path tricks."""
    parts = [re.sub(r"[^\w\-. :]", "_", part).strip() for part in name.split("/")]
    kept = [part for part in parts if part and set(part) != {"."}]
    return "/".join(kept)[:LONGEST].rstrip("/ ") or "unnamed"


def points(metrics: Mapping[str, float], step: int) -> list[Point]:
    """The finite values of one step. MLflow would show infinity as 1.8e308: the exact artifact keeps those."""
    return [Point(legal(name), float(value), step) for name, value in metrics.items() if math.isfinite(value)]


def closing(scores: pd.DataFrame, curves: Mapping[str, Sequence[float]]) -> list[Point]:
    """What is logged when a trial ends.

    Args:
        scores: the tidy scores.
        curves: the values of each progress metric in the order they came.

    Returns:
        `measure/statistic` with step = lag, of each measure's last update, which is how MLflow draws "how far back";
        `final/...` and `best/...` of the validation curves (its table shows last values, and the last lag of a curve
        says little); `final/measure_statistic` of what has no lag. Finite values only.
    """
    found: list[Point] = []
    seen = {name: list(values) for name, values in curves.items()}
    for (measure, statistic), rows in scores.groupby(["measure", "statistic"], sort=False):
        name = f"{measure}/{statistic}"
        last = rows[rows["step"] == rows["step"].max()]
        by_lag = last[last["lag"] >= 0]
        found += [Point(name, value, lag) for lag, value in zip(by_lag["lag"], by_lag["value"], strict=True)]
        plain = rows[rows["lag"] < 0]
        if measure == "valid":
            seen[name] = plain["value"].tolist()
        elif name not in curves:
            found += [Point(f"final/{measure}_{statistic}", value, 0) for value in plain["value"].tolist()[-1:]]
    for name, values in seen.items():
        group, _, statistic = name.partition("/")
        if group == "valid" and values:
            finite = [value for value in values if math.isfinite(value)]
            best = min if any(word in statistic for word in SMALLER_IS_BETTER) else max
            found.append(Point(f"final/{statistic}", values[-1], 0))
            found += [Point(f"best/{statistic}", best(finite), 0)] if finite else []
    return [Point(legal(p.name), float(p.value), int(p.step)) for p in found if math.isfinite(p.value)]
