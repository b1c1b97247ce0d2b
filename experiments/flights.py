"""How many days back does it help to look, to forecast tomorrow's number of flights?

Networks read the numbers of flights of up to 15 days in a row and forecast that of the next day. The data do not say
how far back an answer depends on, so there is no horizon; truncation reach says how many days back give half of the
skill, which is how much better a network with memory is than the best model without.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from farback import tables
from farback.report import Analysis, Ladder, above, all_of, held, standard

PLACE = 13  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Written after trial trainings with other budgets had shown a skill near 0.35. Flights follow the week, and one "
    "day's number says little about the next, so memory helps: every recurrent network has more test skill than the "
    "one without memory."
)
REFUTED_BY = "A recurrent network without more test skill than the memoryless one."


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The scores on the last days of the year, and whether memory helped."""
    base = standard(scores, ladder)
    skills = {row["label"]: row for row in tables.scores_without_lag(scores, ["label"]).to_dict("records")}
    control = skills.pop("memoryless", None)
    lines = []
    if skills and control:
        helps = all_of(above(Skill(row), Skill(control)) for row in skills.values())
        texts = "; ".join(f"{label} {row['median']:.2f}" for label, row in skills.items())
        lines.append(held(helps, "memory helps", f"{texts}; memoryless {control['median']:.2f}"))
    return Analysis(base.headline, lines, base.parts, base.metrics, base.tags)


class Skill:
    """A median skill with its interval, for comparisons."""

    def __init__(self, row: Mapping[Hashable, Any]) -> None:
        self.value = float(row["median"])
        self.limits = (float(row["low"]), float(row["high"]))
