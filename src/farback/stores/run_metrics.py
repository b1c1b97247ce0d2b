"""The metrics of a trial's run, in the form that MLflow's charts and tables need."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from farback.trials.events import ScoreRow

NAME_CHARACTERS = 250  # MLflow's limit
SMALLER_IS_BETTER = ("loss", "error")
TRAINING = ("train", "grad")  # measures whose curves are not summarised by their last value


class Point(NamedTuple):
    """One point of a metric's curve."""

    name: str
    value: float
    step: int


@lru_cache(maxsize=10_000)  # a sweep uses the same names for every trial
def legal(name: str) -> str:
    """A metric's name without characters that MLflow refuses, and without parts such as "..".

    A name that is too long is cut and ends with a digest, so that two such names stay different.
    """
    parts = [re.sub(r"[^\w\-. :]", "_", part).strip() for part in name.split("/")]
    kept = [part for part in parts if part and set(part) != {"."}]
    whole = "/".join(kept) or "unnamed"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return whole if len(whole) <= NAME_CHARACTERS else f"{whole[: NAME_CHARACTERS - 9].rstrip('/ ')}-{digest}"


def points(metrics: Mapping[str, float], step: int) -> list[Point]:
    """The finite values of one step. MLflow would show infinity as 1.8e308; `scores.csv` keeps it."""
    return [Point(legal(name), float(value), step) for name, value in metrics.items() if math.isfinite(value)]


def closing(rows: Iterable[ScoreRow], curves: Mapping[str, Sequence[float]]) -> list[Point]:
    """The metrics to log when a trial ends, finite values only; `curves` has the values of each progress metric.

    Returns:
        `measure/statistic` with step = lag, from each measure's last update, for MLflow's curves by lag; `final/...`
        and `best/...` of the validation curves, for its tables, which show the last point of a metric only;
        `final/measure_statistic` of scores without a lag.
    """
    by_name: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    for measure, step, lag, statistic, value in rows:
        by_name.setdefault((measure, statistic), []).append((step, lag, value))
    found: list[Point] = []
    validation = {name: list(values) for name, values in curves.items() if name.startswith("valid/")}
    for (measure, statistic), scores in by_name.items():
        name = f"{measure}/{statistic}"
        last = max(step for step, _, _ in scores)
        found += [Point(name, value, lag) for step, lag, value in scores if step == last and lag >= 0]
        without_lag = [value for _, lag, value in scores if lag < 0]
        if measure == "valid":
            validation[name] = without_lag
        elif measure not in TRAINING:
            found += [Point(f"final/{measure}_{statistic}", value, 0) for value in without_lag[-1:]]
    for name, values in validation.items():
        statistic = name.removeprefix("valid/")
        best = min if any(word in statistic for word in SMALLER_IS_BETTER) else max
        finite = [value for value in values if math.isfinite(value)]
        found += [Point(f"final/{statistic}", value, 0) for value in values[-1:]]
        found += [Point(f"best/{statistic}", best(finite), 0)] if finite else []
    return [Point(legal(p.name), float(p.value), p.step) for p in found if math.isfinite(p.value)]
