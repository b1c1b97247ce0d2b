"""The parts of a page about networks without a horizon: data without lags, not tested, or at lag 0 only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from farback import tables
from farback.records.setting_text import group_text
from farback.report.analysis import Table, estimate, three
from farback.report.group_columns import group_cells

FEW = 4  # networks that a headline lists


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


def no_horizon_sentence(skills: pd.DataFrame, by: Sequence[str], conditions: str = "", truncated: bool = False) -> str:
    """The sentence of a headline about networks without a horizon (a table of `tables.last_evaluations`).

    Their names are listed, unless `conditions` are given, because then the whole page is about them. `truncated` says
    whether the truncation reach of all of them was measured.
    """
    why = "because retention was not measured after training at a lag above 0"
    nothing = "The truncation reach is given in place of a horizon" if truncated else "No horizon"
    if conditions:
        return f"{nothing}, {why} ({conditions})."
    names = dict.fromkeys(group_text({name: row[name] for name in by}) for row in skills.to_dict("records"))
    return f"{nothing}, {why}: {'; '.join(names)}."


def scores_without_lag(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> Table:
    """The test scores of networks on data that do not say which lags their answers need.

    A network succeeds if it is at least half-way from chance to perfect.
    """
    own = tables.scores_without_lag(scores, by)
    rows = []
    for row in own.to_dict("records"):
        cells = {
            **group_cells(row, by),
            "trainings": str(row["trials"]),
            "test skill": _skill(row),
            "accuracy": three(row["accuracy"]),
            "accuracy by chance": three(row["chance_accuracy"]),
            "succeed": f"{row['successes']}/{row['trials']}",
        }
        rows.append(cells | ({"diverged": str(row["diverged"])} if own["diverged"].any() else {}))
    caption = "Scores on test sequences, medians over seeds"
    return Table("test_scores", caption, own, pd.DataFrame(rows))


def scores_sentence(own: pd.DataFrame, by: Sequence[str], conditions: str = "") -> str:
    """The sentence of a headline about a table of `tables.scores_without_lag`: all networks, or the best and worst."""
    best_first = own.sort_values("median", ascending=False, kind="stable").to_dict("records")
    texts = [f"{group_text({name: row[name] for name in by})} {_skill(row)}" for row in best_first]
    if len(texts) > FEW:
        texts = [f"from {texts[-1]} to {texts[0]}"]
    where = f" ({conditions})" if conditions else ""
    lowest = own["low"].where(own["trials"] > 1, own["median"])
    nothing = "no network is better than chance on test sequences (no interval lies above 0); "
    why = nothing if (lowest <= 0).all() else ""
    why += "there is no horizon, because the data do not say which lags their answers need"
    why += " (the measure truncation_reach needs no lags)"
    return f"Test skill{where}: {'; '.join(texts)}; {why}."


def _skill(row: Mapping[Any, Any]) -> str:
    one = row["trials"] == 1 or pd.isna(row["median"])
    return three(row["median"]) if one else estimate(row["median"], row["low"], row["high"])
