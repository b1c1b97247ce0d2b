"""The tables of a search as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from farback.records.counted_nouns import counted
from farback.report.analysis import estimate
from farback.tables.search_history import PARAMETER, Direction

SETTING = ["group", "setting", "number"]  # the columns that identify a reported setting
Row = Mapping[Any, Any]


@dataclass(frozen=True)
class ReportedObjective:
    """The objective of a search, with its description: "skill at lag 80"."""

    text: str
    direction: Direction = "maximize"

    @property
    def largest(self) -> bool:
        """Whether larger is better."""
        return self.direction == "maximize"


def reported_shown(
    reported: pd.DataFrame, success: pd.DataFrame | None, objectives: Sequence[ReportedObjective]
) -> pd.DataFrame:
    """The headline table: the mean with its interval, the range over seeds, and how often training succeeds."""
    rates = {} if success is None else {tuple(row[key] for key in SETTING): row for row in success.to_dict("records")}
    several = reported.duplicated(SETTING[:2]).any()
    rows = []
    for row in reported.to_dict("records"):
        cells = _group(row)
        cells["setting"] = f"{row['setting']}, trial {row['number']}" if several else row["setting"]
        cells[f"{objectives[0].text}, 95 %"] = estimate(row["value"], row["low"], row["high"])
        cells["median"] = f"{row['median']:.3g}"
        cells["min to max"] = f"{row['min']:.3g} to {row['max']:.3g}"
        if len(objectives) > 1:
            cells[f"{objectives[1].text}, 95 %"] = estimate(row["value_1"], row["low_1"], row["high_1"])
        if own := rates.get(tuple(row[key] for key in SETTING)):
            interval = f"{own['rate_low']:.0%} to {own['rate_high']:.0%}"
            cells["succeed" if own["lag"] < 0 else f"succeed at lag {own['lag']}"] = (
                f"{own['successes']}/{own['trials']} ({interval})"
            )
        cells["fresh seeds"] = str(row["seeds"])
        if reported["diverged"].any():
            cells["diverged"] = str(row["diverged"])
        rows.append(cells)
    return pd.DataFrame(rows)


def gaps_shown(gaps: pd.DataFrame) -> pd.DataFrame:
    """The search's own values and the values on fresh seeds."""
    return pd.DataFrame(
        {
            **_group(row),
            "setting": f"{row['setting']}, trial {row['number']}",
            "picked from": counted(row["trials"], "trial") if row["setting"] == "tuned" else "not picked by its value",
            "in the search": f"{row['seen']:.3g}",
            "fresh seeds, 95 %": estimate(row["fresh"], row["low"], row["high"]),
            "gap, 95 %": estimate(row["gap"], row["gap_low"], row["gap_high"], "+"),
        }
        for row in gaps.to_dict("records")
    )


def gains_shown(gains: pd.DataFrame) -> pd.DataFrame:
    """The value of each group at its default and at its tuned setting."""
    return pd.DataFrame(
        {
            **_group(row),
            "default": f"{row['default']:.3g}",
            "tuned": f"{row['tuned']:.3g}",
            "difference, 95 %": estimate(row["difference"], row["low"], row["high"], "+"),
            "tuned is higher": f"{row['improvement']:.0%}",
            **_p(row),
        }
        for row in gains.to_dict("records")
    )


def contests_shown(contests: pd.DataFrame) -> pd.DataFrame:
    """Pairs of groups, default settings first, the smallest p first."""
    ordered = contests.sort_values(["setting", "p_holm", "p", "a", "b"], kind="stable")
    return pd.DataFrame(
        {
            "setting": row["setting"],
            "a": row["a"],
            "b": row["b"],
            "a minus b, 95 %": estimate(row["difference"], row["low"], row["high"], "+"),
            "a is higher": f"{row['improvement']:.0%}",
            **_p(row),
        }
        for row in ordered.to_dict("records")
    )


def share_sentence(share: pd.DataFrame) -> str:
    """The share of the difference between groups that tuning removes, in a sentence."""
    row = share.to_dict("records")[0]
    differences = (
        f"On average two groups differ by {_interval(row, 'default')} at their default settings and by "
        f"{_interval(row, 'tuned')} when tuned, and tuning changes a group by {_interval(row, 'moved')}"
    )
    if math.isnan(row["share"]):
        return f"{differences}; no two groups differ significantly at their default settings."
    apart = "" if row["share"] >= 0 else "; below 0, tuning increases the differences"
    return f"{differences}: tuning removes {_share(row)} of the difference{apart}."


def share_shown(share: pd.DataFrame) -> pd.DataFrame:
    """The share of the difference between groups that tuning removes, as a table."""
    return pd.DataFrame(
        {
            "groups": str(row["groups"]),
            "fresh seeds of each": str(row["seeds"]),
            "mean difference of two groups, default": _interval(row, "default"),
            "tuned": _interval(row, "tuned"),
            "tuning changes a group by": _interval(row, "moved"),
            "removed by tuning": _share(row),
        }
        for row in share.to_dict("records")
    )


def top_shown(top: pd.DataFrame, value: str) -> pd.DataFrame:
    """The best settings by the search's own values."""
    rows = []
    for row in top.to_dict("records"):
        cells = {**_group(row), "rank": str(row["rank"]), "trial": str(row["number"])}
        cells[f"{value}, in the search"] = f"{row['value']:.3g}"
        if "value_1" in top:
            cells["second objective, in the search"] = f"{row['value_1']:.3g}"
        parameters = [name for name in top.columns if name.startswith(PARAMETER)]
        rows.append(cells | {name.removeprefix(PARAMETER): _cell(row[name]) for name in parameters})
    return pd.DataFrame(rows)


def budgets_shown(budgets: pd.DataFrame) -> pd.DataFrame:
    """The trials, trainings, updates and minutes of each group."""
    names = ["trials", "complete", "pruned", "failed", "other", "trainings", "updates"]
    return pd.DataFrame(
        {
            **_group(row),
            **{name: str(row[name]) for name in names},
            "minutes": f"{row['seconds'] / 60:.1f}",
            "equal number of trials": "yes" if row["equal"] else "**no**",
        }
        for row in budgets.to_dict("records")
    )


def _interval(row: Row, name: str) -> str:
    return estimate(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _share(row: Row) -> str:
    if math.isnan(row["share"]):
        return "no two groups differ significantly at their default settings"
    return f"{row['share']:.0%} ({row['share_low']:.0%} to {row['share_high']:.0%})"


def _group(row: Row) -> dict[str, str]:
    return {"group": str(row["group"])} if row["group"] != "" else {}


def _p(row: Row) -> dict[str, str]:
    return {"p": f"{row['p']:.3g}", "p, Holm": f"{row['p_holm']:.3g}"}


def _cell(value: Any) -> str:
    """A parameter's value: numbers with three digits, empty where a condition excluded it."""
    if pd.isna(value):
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.3g}" if number else str(value)
