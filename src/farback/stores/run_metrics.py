"""Names and points of what a trial is worth, as MLflow's charts and tables want them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from farback.trials.events import ScoreRow

LONGEST = 250  # characters of a name, MLflow's limit
SMALLER_IS_BETTER = ("loss", "error")
TRAINING = ("train", "grad")  # curves of the training itself, whose last value says little


class Point(NamedTuple):
    """One number of one curve."""

    name: str
    value: float
    step: int


@lru_cache(maxsize=10_000)  # a sweep asks for the same names again and again
def legal(name: str) -> str:
    """The name with every character that MLflow refuses replaced, and no path tricks."""
    parts = [re.sub(r"[^\w\-. :]", "_", part).strip() for part in name.split("/")]
    kept = [part for part in parts if part and set(part) != {"."}]
    return "/".join(kept)[:LONGEST].rstrip("/ ") or "unnamed"


def points(metrics: Mapping[str, float], step: int) -> list[Point]:
    """The finite values of one step. MLflow would show infinity as 1.8e308: the exact artifact keeps those."""
    return [Point(legal(name), float(value), step) for name, value in metrics.items() if math.isfinite(value)]


def closing(rows: Iterable[ScoreRow], curves: Mapping[str, Sequence[float]]) -> list[Point]:
    """What is logged when a trial ends.

    Args:
        rows: of the tidy scores.
        curves: the values of each progress metric in the order they came.

    Returns:
        `measure/statistic` with step = lag, of each measure's last update, which is how MLflow draws "how far back";
        `final/...` and `best/...` of the validation curves (its table shows last values, and the last lag of a curve
        says little); `final/measure_statistic` of what has no lag. Finite values only.
    """
    table: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    for measure, step, lag, statistic, value in rows:
        table.setdefault((measure, statistic), []).append((step, lag, value))
    found: list[Point] = []
    validation = {name: list(values) for name, values in curves.items() if name.startswith("valid/")}
    for (measure, statistic), own in table.items():
        name = f"{measure}/{statistic}"
        last = max(step for step, _, _ in own)
        found += [Point(name, value, lag) for step, lag, value in own if step == last and lag >= 0]
        plain = [value for _, lag, value in own if lag < 0]
        if measure == "valid":
            validation[name] = plain
        elif measure not in TRAINING:
            found += [Point(f"final/{measure}_{statistic}", value, 0) for value in plain[-1:]]
    for name, values in validation.items():
        statistic = name.removeprefix("valid/")
        best = min if any(word in statistic for word in SMALLER_IS_BETTER) else max
        finite = [value for value in values if math.isfinite(value)]
        found += [Point(f"final/{statistic}", value, 0) for value in values[-1:]]
        found += [Point(f"best/{statistic}", best(finite), 0)] if finite else []
    return [Point(legal(p.name), float(p.value), p.step) for p in found if math.isfinite(p.value)]
