"""Does every layer work, from a YAML file to the report? This is the smallest sweep, with a control that must fail."""

import pandas as pd

from farback import tables
from farback.report import Analysis, Ladder, exact, held, standard

PREDICTION = "The memoryless control stays at chance at every lag; a recurrent cell learns lag 2."
REFUTED_BY = (
    "A memoryless net that succeeds: then a task leaks its answer. "
    "No recurrent net that succeeds: then training is broken."
)

LISTED = False  # the checks rewrite this page and do not commit it, so results/index.html leaves it out


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The standard tables, with a verdict on the control."""
    base = standard(scores, ladder)
    success = tables.success_by_lag(scores, ["label"])
    control = success[success["label"] == "memoryless"]["successes"].sum()
    learned = success[(success["label"] != "memoryless") & (success["lag"] == 2)]["successes"].sum()
    verdict = [
        held(exact(control == 0), "the memoryless control stays at chance", f"{control} trials succeed"),
        held(exact(learned > 0), "a recurrent cell learns lag 2", f"{learned} trials succeed"),
    ]
    return Analysis(base.headline, verdict, base.parts, base.metrics, base.tags)
