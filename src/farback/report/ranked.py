"""Networks ranked over several problems: the parts of a page that compares many cells."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from farback import tables
from farback.report.analysis import Figure, Table
from farback.report.standard import name_of


def ranked(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> list[Table | Figure]:
    """Ranking with intervals as table and figure, who beats whom, and every seed's skill.

    Args:
        scores: the tidy frame of trials trained at one lag each, every group on the same problems.
        by: what makes a group of seeds.
    """
    from farback import plots  # matplotlib takes a second to import

    ranking, skills, pairs = tables.ranking(scores, by), tables.skills(scores, by), tables.improvements(scores, by)
    return [
        Table("ranking", "Ranking over all problems", ranking, places(ranking, skills, by)),
        Figure(
            "ranking_intervals",
            "The ranking with its intervals",
            plots.ranking(ranking),
            ranking,
            "The interquartile mean of each network's skill over all problems, with 95 % intervals, the best on top.",
        ),
        Figure(
            "improvement",
            "Who beats whom",
            plots.improvement(pairs),
            pairs,
            "A map: how likely a seed of the row's network beats one of the column's, averaged over the problems.",
        ),
        Figure(
            "skills",
            "Skill on each problem",
            plots.skills(skills, ranking),
            skills,
            "A panel for each problem, a line for each network: the skill of every seed, and their median.",
        ),
    ]


def places(ranking: pd.DataFrame, skills: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The ranking for people: the interquartile mean, its interval, and successes on each problem."""
    rows = []
    for place, row in enumerate(ranking.to_dict("records"), 1):
        cells = {**{name_of(name): row[name] for name in by}, "rank": f"{place}"}
        cells["IQM of skill, 95 %"] = f"{row['iqm']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        own = skills
        for name in by:
            own = own[own[name] == row[name]]
        for (task, lag), part in own.groupby(["task", "lag"]):
            cells[f"{task} {lag}"] = f"{part['passed'].sum()}/{len(part)}"
        if ranking["diverged"].any():
            cells["diverged"] = f"{row['diverged']}"
        rows.append(cells)
    return pd.DataFrame(rows)
