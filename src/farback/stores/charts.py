"""The charts of the saved views, in the terms of MLflow's run page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

RUNS = 500  # that a chart takes at most; MLflow's own default is 10
COLUMNS, CARD_PIXELS = 2, 440  # large enough to read beside the list of runs


@dataclass(frozen=True)
class Card:
    """One chart: `more` is what its type needs. MLflow heads it with its metric, whatever it is called."""

    type: str  # LINE, BAR, SCATTER or PARALLEL
    more: dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A heading and the charts below it: the only place where a chart can say what it shows."""

    name: str
    cards: tuple[Card, ...]


def line(metric: str, *, log: bool = False, points: bool = False, shown: tuple[float, float] | None = None) -> Card:
    """A metric against its step.

    Args:
        metric: its name.
        log: whether the step axis is logarithmic, as lags want it.
        points: whether every point is marked.
        shown: the lowest and the highest value at first, whatever there is; by default all.
    """
    more = {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "log" if log else "linear",
        "scaleType": "linear",
        "range": dict(zip(("yMin", "yMax"), shown, strict=True)) if shown else {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "displayPoints": points,
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
    }
    return Card("LINE", more)


def bar(metric: str) -> Card:
    """A metric's last value, a bar for each run or group."""
    return Card("BAR", {"metricKey": metric})


def scatter(parameter: str, metric: str) -> Card:
    """A metric's last value against a parameter."""
    more = {"xaxis": {"key": parameter, "type": "PARAM"}, "yaxis": {"key": metric, "type": "METRIC"}}
    return Card("SCATTER", more)


def parallel(parameters: Sequence[str], metrics: Sequence[str]) -> Card:
    """Parallel coordinates, from the parameters to the metrics."""
    more = {"selectedParams": list(parameters), "selectedMetrics": list(metrics), "showAllRuns": True}
    return Card("PARALLEL", more)


def deciding(parameters: Sequence[str]) -> Section:
    """Parallel coordinates, from the parameters to the skill."""
    return Section("From parameters to final skill", (parallel(parameters, ["final/skill"]),))


SKILLS = (-0.25, 1.05)  # one network that is sure and wrong has a skill of -5, and would press all others flat
BY_LAG = (
    Section(
        "Skill by lag: 0 = chance, 1 = perfect",
        (line("retention/skill", log=True, points=True, shown=SKILLS),),
    ),
    Section("Accuracy by lag", (line("retention/accuracy", log=True, points=True),)),
    Section(  # charts without a metric are hidden: only what an experiment measures is shown
        "Other measures by lag",
        (
            line("gradient_reach/log10", log=True),
            line("memory_function/r2", log=True),
            line("causal_reach/effect", log=True, points=True),
            line("probe/skill", log=True, points=True),
        ),
    ),
)
WORTH = Section("What the trials came to", (bar("final/skill"), scatter("lag", "final/skill")))
TRAINING = Section(
    "Training, by update",
    (line("valid/skill"), line("train/loss"), line("grad/norm"), line("retention/horizon")),
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
            found.append({"uuid": f"{uuid}-{index}", "type": card.type, **common, **card.more})
    return found, named


METRICS = "metrics"

RUN, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"  # the page's own

# In pixels, where the page's own width hides what matters
WIDTHS = {RUN: 290, CREATED: 140, "params.`cell`": 150, "params.`lag`": 70, "params.`seed`": 70}

GROUP_WIDTHS = {RUN: 420, CREATED: 60}  # a group is called by its parameters, and was never created...

MEAN_WIDTH = 150  # ...and "(average)" stands behind its metrics


def named(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns of parameters ("params"), metrics or tags."""
    return tuple(f"{kind}.`{name}`" for name in names)


def layout(columns: Sequence[str], grouped: bool) -> dict[str, Any]:
    """The page's state of a table with these columns, in this order.

    Args:
        columns: those shown beside the page's own.
        grouped: whether rows are groups of runs.
    """
    wide = GROUP_WIDTHS if grouped else WIDTHS
    means = [name for name in columns if name.startswith(METRICS)] if grouped else []
    return {
        "selectedColumns": list(columns),
        "columnOrder": [RUN, CREATED, *columns, DURATION],  # the page's own order has the parameters last
        "columnWidths": {
            **{name: wide[name] for name in (RUN, CREATED, *columns) if name in wide},
            **dict.fromkeys(means, MEAN_WIDTH),
        },
    }
