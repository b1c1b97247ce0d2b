"""The part of a page about networks that have no horizon: not tested after training, or at lag 0 only."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from farback import tables
from farback.records.setting_text import group_text
from farback.report.analysis import Table, estimate, three
from farback.report.group_columns import group_cells


def without_horizon(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> Table:
    """The validation skill after training of networks without a horizon."""
    skills = tables.last_evaluations(scores, by)
    rows = []
    for row in skills.to_dict("records"):
        one = three(row["median"])
        skill = estimate(row["median"], row["low"], row["high"]) if row["trials"] > 1 else one
        cells = {
            **group_cells(row, by),
            "trained at lag": row["trained"],
            "trainings": str(row["trials"]),
            "validation skill": "not evaluated" if pd.isna(row["median"]) else skill,
        }
        rows.append(cells | ({"diverged": str(row["diverged"])} if skills["diverged"].any() else {}))
    apart = tables.of_curriculum(scores).any()
    caption = "Without a horizon: the skill on validation sequences after training, the median over seeds"
    caption += "; trained with a curriculum" if apart else ""
    return Table("curriculum_without_horizon" if apart else "without_horizon", caption, skills, pd.DataFrame(rows))


def no_horizon_sentence(skills: pd.DataFrame, by: Sequence[str], conditions: str = "") -> str:
    """The sentence of a headline about networks without a horizon (a table of `tables.last_evaluations`).

    Their names are listed, unless `conditions` are given, because then the whole page is about them.
    """
    why = "because retention was not measured after training at a lag above 0"
    if conditions:
        return f"No horizon, {why} ({conditions})."
    names = dict.fromkeys(group_text({name: row[name] for name in by}) for row in skills.to_dict("records"))
    return f"No horizon, {why}: {'; '.join(names)}."
