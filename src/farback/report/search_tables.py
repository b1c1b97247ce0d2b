"""The tables of a search as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from farback.report.analysis import estimate
from farback.tables.search_history import Direction

KEYS = ["group", "setting", "number"]


def reported_shown(
    reported: pd.DataFrame, success: pd.DataFrame | None, objectives: Sequence[Objective]
) -> pd.DataFrame:
    """The headline table: the mean with its interval, the spread of the seeds, and how often training succeeds."""
    rates = {} if success is None else {tuple(row[key] for key in KEYS): row for row in success.to_dict("records")}
    several = reported.duplicated(KEYS[:2]).any()
    rows = []
    for row in reported.to_dict("records"):
        cells = _group(row)
        cells["setting"] = f"{row['setting']}, trial {row['number']}" if several else row["setting"]
        cells[f"{objectives[0].text}, 95 %"] = estimate(row["value"], row["low"], row["high"])
        cells["median"] = f"{row['median']:.3g}"
        cells["min to max"] = f"{row['min']:.3g} to {row['max']:.3g}"
        if len(objectives) > 1:
            cells[f"{objectives[1].text}, 95 %"] = estimate(row["value_1"], row["low_1"], row["high_1"])
        own = rates.get(tuple(row[key] for key in KEYS))
        if own:
            ends = f"{own['rate_low']:.0%} to {own['rate_high']:.0%}"
            cells[f"succeed at lag {own['lag']}"] = f"{own['successes']}/{own['trials']} ({ends})"
        cells["fresh seeds"] = str(row["seeds"])
        if reported["diverged"].any():
            cells["diverged"] = str(row["diverged"])
        rows.append(cells)
    return pd.DataFrame(rows)


def gaps_shown(gaps: pd.DataFrame) -> pd.DataFrame:
    """What the search saw beside what fresh seeds gave."""
    rows = [
        {
            **_group(row),
            "setting": f"{row['setting']}, trial {row['number']}",
            "picked from": f"{row['trials']} trials" if row["setting"] == "tuned" else "not picked by its value",
            "seen by the search": f"{row['seen']:.3g}",
            "fresh seeds, 95 %": estimate(row["fresh"], row["low"], row["high"]),
            "gap, 95 %": estimate(row["gap"], row["gap_low"], row["gap_high"], "+"),
        }
        for row in gaps.to_dict("records")
    ]
    return pd.DataFrame(rows)


def gains_shown(gains: pd.DataFrame) -> pd.DataFrame:
    """Default against tuned."""
    rows = [
        {
            **_group(row),
            "default": f"{row['default']:.3g}",
            "tuned": f"{row['tuned']:.3g}",
            "difference, 95 %": estimate(row["difference"], row["low"], row["high"], "+"),
            "tuned is higher": f"{row['improvement']:.0%}",
            **_p(row),
        }
        for row in gains.to_dict("records")
    ]
    return pd.DataFrame(rows)


def contests_shown(contests: pd.DataFrame) -> pd.DataFrame:
    """Pairs of groups, the clearest first at each setting."""
    settings = {setting: at for at, setting in enumerate(("default", "tuned"))}
    ordered = contests.assign(order=contests["setting"].map(settings)).sort_values(
        ["order", "p_holm", "p", "a", "b"], kind="stable"
    )
    rows = [
        {
            "setting": row["setting"],
            "a": row["a"],
            "b": row["b"],
            "a less b, 95 %": estimate(row["difference"], row["low"], row["high"], "+"),
            "a is higher": f"{row['improvement']:.0%}",
            **_p(row),
        }
        for row in ordered.to_dict("records")
    ]
    return pd.DataFrame(rows)


def share_sentence(share: pd.DataFrame) -> str:
    """How much of the difference between groups is tuning, in a sentence."""
    row = share.to_dict("records")[0]
    spreads = (
        f"On average two groups differ by {estimate(row['default'], row['default_low'], row['default_high'])} at their "
        f"default settings and by {estimate(row['tuned'], row['tuned_low'], row['tuned_high'])} once tuned, and tuning "
        f"moves a group by {estimate(row['moved'], row['moved_low'], row['moved_high'])}"
    )
    if pd.isna(row["share"]):
        return f"{spreads}; no two groups differ for certain at their default settings."
    apart = "" if row["share"] >= 0 else "; below 0, tuning drives them apart"
    return f"{spreads}: tuning takes away {_share(row)} of the difference{apart}."


def share_shown(share: pd.DataFrame) -> pd.DataFrame:
    """The same as a table."""
    rows = [
        {
            "groups": str(row["groups"]),
            "fresh seeds of each": str(row["seeds"]),
            "mean difference of two groups, default": estimate(row["default"], row["default_low"], row["default_high"]),
            "tuned": estimate(row["tuned"], row["tuned_low"], row["tuned_high"]),
            "tuning moves a group by": estimate(row["moved"], row["moved_low"], row["moved_high"]),
            "taken away by tuning": _share(row),
        }
        for row in share.to_dict("records")
    ]
    return pd.DataFrame(rows)


def top_shown(top: pd.DataFrame, value: str) -> pd.DataFrame:
    """The best settings as the search saw them."""
    rows = []
    for row in top.to_dict("records"):
        own = {name.removeprefix("param."): _plain(row[name]) for name in top.columns if name.startswith("param.")}
        seen = {f"{value}, seen": f"{row['value']:.3g}"}
        if "value_1" in top:
            seen["second objective, seen"] = f"{row['value_1']:.3g}"
        rows.append({**_group(row), "rank": str(row["rank"]), "trial": str(row["number"]), **seen, **own})
    return pd.DataFrame(rows)


def budgets_shown(budgets: pd.DataFrame) -> pd.DataFrame:
    """What each group was given and spent."""
    names = ["trials", "complete", "pruned", "failed", "other", "trainings", "updates"]
    rows = [
        {
            **_group(row),
            **{name: str(row[name]) for name in names},
            "minutes": f"{row['seconds'] / 60:.1f}",
            "equal number of trials": "yes" if row["equal"] else "**no**",
        }
        for row in budgets.to_dict("records")
    ]
    return pd.DataFrame(rows)


def _share(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["share"]):
        return "no two groups differ for certain at their default settings"
    return f"{row['share']:.0%} ({row['share_low']:.0%} to {row['share_high']:.0%})"


def _group(row: Mapping[Any, Any]) -> dict[str, str]:
    return {"group": str(row["group"])} if row["group"] != "" else {}


def _p(row: Mapping[Any, Any]) -> dict[str, str]:
    return {"p": f"{row['p']:.3g}", "p, Holm": f"{row['p_holm']:.3g}"}


def _plain(value: Any) -> str:
    if pd.isna(value):
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.3g}" if number else str(value)


@dataclass(frozen=True)
class Objective:
    """What a search makes large or small: "skill at lag 80"."""

    text: str
    direction: Direction = "maximize"

    @property
    def largest(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"
