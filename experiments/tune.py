"""How much of the difference between recurrent cells at a long lag is tuning?

Four cells recall one cue over 80 steps of noise. Each gets the same number of trials of a search over learning rate,
clipping, size and initialisation; its default setting (PyTorch's initialisation, Adam at 0.001, 32 units) is the first
of them. The best and the default setting are trained again on the same fresh seeds, and only those numbers count.
"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Searched, at_least, held, searched
from farback.report.claim_scripts import Share

PLACE = 9  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Nearly all of it. At its default setting no cell learns lag 80, so that nothing differs; tuned, every cell does, "
    "the plain ones too, in at least 8 of 10 fresh seeds. Tuning moves a cell by more than three times as much as two "
    "tuned cells differ, and what matters most to the search is the initialisation. The search sees its winners better "
    "than they are: its values lie above those of fresh seeds on average over the cells, because two seeds a trial and "
    "forty trials leave room for luck."
)
REFUTED_BY = (
    "A cell that learns lag 80 from its default setting in half of the seeds; a tuned cell that does not in 8 of 10; "
    "tuned cells that differ by more than a third of what tuning moves them; a parameter other than the initialisation "
    "that matters most in two cells or more; or a mean gap between search and fresh seeds of 0 or below."
)
INIT = ("init", "init.name")
ENOUGH = 0.8


def analyse(found: Searched) -> Analysis:
    """The standard analysis, and whether the prediction held."""
    base = searched(found)
    return Analysis(base.headline, verdict(found, base), base.parts, base.metrics, base.tags)


def verdict(found: Searched, base: Analysis) -> list[str]:
    """The verdict, with one line for each prediction."""
    frames = {table.name: table.frame for table in base.tables}
    reported = frames["reported"]
    lines = []
    for row in reported[reported["setting"] == "default"].to_dict("records"):
        numbers = f"{row['successes']} of {row['trials']} seeds"
        lines.append(
            held(
                ~Share(row["successes"], row["trials"]).most,
                f"{row['group']} does not learn the lag from its default setting",
                numbers,
            )
        )
    for row in reported[reported["setting"] == "tuned"].to_dict("records"):
        numbers = f"{row['successes']} of {row['trials']} seeds"
        enough = at_least(Share(row["successes"], row["trials"]), ENOUGH)
        lines.append(held(enough, f"{row['group']}, tuned, learns it in 8 of 10 seeds", numbers))
    for row in frames.get("tuning_share", pd.DataFrame()).to_dict("records"):
        numbers = f"{row['moved']:.3g} against {row['tuned']:.3g}"
        claim = "tuning moves a cell by more than three times as much as two tuned cells differ"
        lines.append(held(row["moved"] > 3 * row["tuned"], claim, numbers))
    if len(found.importances):
        first = found.importances.groupby("group", sort=False).first()["parameter"]
        others = first[~first.isin(INIT)]
        numbers = "; ".join(f"{group}: {name}" for group, name in first.items())
        lines.append(held(len(others) < 2, "what matters most is the initialisation in all cells but one", numbers))
    gaps = tables.gaps(found.history, found.fresh, found.objective.direction)
    mean = gaps[gaps["setting"] == "tuned"]["gap"].mean()
    lines.append(held(mean > 0, "the search saw its winners better than they are", f"by {mean:.3g} on average"))
    return lines
