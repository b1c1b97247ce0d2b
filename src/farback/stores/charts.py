"""The charts of the saved views, in the terms of MLflow's run page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

RUNS = 500  # that a chart takes at most; MLflow's own default is 10
COLUMNS, CARD_PIXELS = 2, 440  # large enough to read beside the list of runs


@dataclass(frozen=True)
class Card:
    """One chart: `more` is what its type needs."""

    title: str
    type: str  # LINE, BAR, SCATTER or PARALLEL
    more: dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A heading and the charts below it."""

    name: str
    cards: tuple[Card, ...]


def line(title: str, metric: str, *, log: bool = False, points: bool = False) -> Card:
    """A metric against its step.

    Args:
        title: shown above it.
        metric: its name.
        log: whether the step axis is logarithmic, as lags want it.
        points: whether every point is marked.
    """
    more = {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "log" if log else "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "displayPoints": points,
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
    }
    return Card(title, "LINE", more)


def bar(title: str, metric: str) -> Card:
    """A metric's last value, a bar for each run or group."""
    return Card(title, "BAR", {"metricKey": metric})


def scatter(title: str, parameter: str, metric: str) -> Card:
    """A metric's last value against a parameter."""
    more = {"xaxis": {"key": parameter, "type": "PARAM"}, "yaxis": {"key": metric, "type": "METRIC"}}
    return Card(title, "SCATTER", more)


def parallel(title: str, parameters: Sequence[str], metrics: Sequence[str]) -> Card:
    """Parallel coordinates, from the parameters to the metrics."""
    more = {"selectedParams": list(parameters), "selectedMetrics": list(metrics), "showAllRuns": True}
    return Card(title, "PARALLEL", more)


def deciding(parameters: Sequence[str]) -> Section:
    """Parallel coordinates, from the parameters to the skill."""
    return Section("What decides", (parallel("From parameters to final skill", parameters, ["final/skill"]),))


FAR = Section(
    "How far back (x = lag)",
    (
        line("Skill by lag: 0 = chance, 1 = perfect", "retention/skill", log=True, points=True),
        line("Accuracy by lag", "retention/accuracy", log=True, points=True),
    ),
)
OTHERS = Section(  # charts without a metric are hidden: only what an experiment measures is shown
    "By other measures (x = lag)",
    (
        line("Gradient, in decades", "gradient_reach/log10", log=True),
        line("Memory function: R² of a past input", "memory_function/r2", log=True),
        line("Causal effect of one input", "causal_reach/effect", log=True, points=True),
        line("Decodable from the state: skill", "probe/skill", log=True, points=True),
    ),
)
WORTH = Section(
    "What the trials came to",
    (bar("Final skill", "final/skill"), scatter("Final skill by training lag", "lag", "final/skill")),
)
TRAINING = Section(
    "Training (x = update)",
    (
        line("Validation skill", "valid/skill"),
        line("Training loss", "train/loss"),
        line("Gradient norm", "grad/norm"),
        line("Retention horizon: lag retained so far", "retention/horizon"),
    ),
)


def cards(prefix: str, sections: Sequence[Section]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """MLflow's two lists: the charts, each naming its section, and the sections."""
    found, named = [], []
    for number, section in enumerate(sections, 1):
        uuid = f"{prefix}-{number}"
        layout = {"columns": min(len(section.cards), COLUMNS), "cardHeight": CARD_PIXELS}
        named.append({"uuid": uuid, "name": section.name, "display": True, "isReordered": True, **layout})
        for index, card in enumerate(section.cards, 1):
            common = {"metricSectionId": uuid, "runsCountToCompare": RUNS, "deleted": False, "isGenerated": False}
            found.append(
                {"uuid": f"{uuid}-{index}", "type": card.type, "displayName": card.title, **common, **card.more}
            )
    return found, named
