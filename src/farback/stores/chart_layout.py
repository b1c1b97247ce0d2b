"""Charts and table columns of the saved views, in the format of MLflow's run page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

RUNS = 500  # most runs in a chart; MLflow's default is 10
COLUMNS, CARD_PIXELS = 2, 440  # large enough to read beside the list of runs

Card = dict[str, Any]  # one chart; MLflow uses its metric's name as heading


@dataclass(frozen=True)
class Section:
    """A heading and the charts below it; the heading is the only place for an explanation."""

    name: str
    cards: tuple[Card, ...]


def line(
    metric: str, *, log: bool = False, points: bool = False, value_range: tuple[float, float] | None = None
) -> Card:
    """A line chart of a metric against its step; `log` is for steps that are lags, `points` marks every point."""
    return {
        "type": "LINE",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "log" if log else "linear",
        "scaleType": "linear",
        "range": dict(zip(("yMin", "yMax"), value_range, strict=True)) if value_range else {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "displayPoints": points,
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
    }


def bar(metric: str) -> Card:
    """A bar chart of a metric's last value, with a bar for each run or group."""
    return {"type": "BAR", "metricKey": metric}


def scatter(parameter: str, metric: str) -> Card:
    """A scatter plot of a metric's last value against a parameter."""
    axes = {"xaxis": {"key": parameter, "type": "PARAM"}, "yaxis": {"key": metric, "type": "METRIC"}}
    return {"type": "SCATTER", **axes}


def parallel(parameters: Sequence[str], metric: str) -> Card:
    """Parallel coordinates, from parameters to a metric."""
    return {
        "type": "PARALLEL",
        "selectedParams": list(parameters),
        "selectedMetrics": [metric],
        "showAllRuns": True,
    }


SKILLS = (-0.25, 1.05)  # a network that is confident and wrong has a skill of -5, which would flatten the others
BY_LAG = (
    Section(
        "Skill by lag (the axis Step is the lag): 0 = chance, 1 = perfect",
        (line("retention/skill", log=True, points=True, value_range=SKILLS),),
    ),
    Section("Accuracy by lag (Step is the lag)", (line("retention/accuracy", log=True, points=True),)),
    Section(  # MLflow hides charts without data, so only the experiment's measures appear
        "Other measures by lag (Step is the lag)",
        (
            line("gradient_reach/log10", log=True),
            line("memory_function/r2", log=True),
            line("causal_reach/effect", log=True, points=True),
            line("probe/skill", log=True, points=True),
            line("truncation_reach/skill", log=True, points=True, value_range=SKILLS),
        ),
    ),
)
FINAL = Section("Final skill of the trials", (bar("final/skill"), scatter("lag", "final/skill")))
TRAINING = Section(
    "Training, by update (Step is the update)",
    (line("valid/skill"), line("train/loss"), line("grad/norm"), line("retention/horizon")),
)


def cards(prefix: str, sections: Sequence[Section]) -> tuple[list[Card], list[dict[str, Any]]]:
    """MLflow's two lists: the charts, each with the id of its section, and the sections."""
    placed, headings = [], []
    for number, section in enumerate(sections, 1):
        uuid = f"{prefix}-{number}"
        size = {"columns": min(len(section.cards), COLUMNS), "cardHeight": CARD_PIXELS}
        headings.append({"uuid": uuid, "name": section.name, "display": True, "isReordered": True, **size})
        for index, card in enumerate(section.cards, 1):
            common = {"metricSectionId": uuid, "runsCountToCompare": RUNS, "deleted": False, "isGenerated": False}
            placed.append({"uuid": f"{uuid}-{index}", **common, **card})
    return placed, headings


METRICS = "metrics"
RUN, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"  # MLflow's own columns

# In pixels, where MLflow's default width hides text
WIDTHS = {RUN: 290, CREATED: 140, "params.`cell`": 150, "params.`lag`": 70, "params.`seed`": 70}
GROUP_WIDTHS = {RUN: 420, CREATED: 60}  # a group's name lists its parameters, and it has no creation time
MEAN_WIDTH = 150  # MLflow adds "(average)" to a metric's name


def named(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """MLflow's names for the columns of parameters ("params"), metrics or tags."""
    return tuple(f"{kind}.`{name}`" for name in names)


def layout(columns: Sequence[str], grouped: bool) -> dict[str, Any]:
    """The state of a table of runs or groups of runs, with these columns in this order beside MLflow's own."""
    if grouped:
        widths = {**GROUP_WIDTHS, **{name: MEAN_WIDTH for name in columns if name.startswith(METRICS)}}
    else:
        widths = {name: WIDTHS[name] for name in (RUN, CREATED, *columns) if name in WIDTHS}
    return {
        "selectedColumns": list(columns),
        "columnOrder": [RUN, CREATED, *columns, DURATION],  # MLflow's default order has the parameters last
        "columnWidths": widths,
    }
