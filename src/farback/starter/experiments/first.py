"""What configs/first.yaml is for: the prediction, written before the run, and how it is judged.

This file is optional: without it the report has the same tables and figures, and no verdict.
"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Ladder, held, standard

PREDICTION = (
    "Started as PyTorch starts it, no network learns a lag of 40. A GRU whose gates are started open for long (chrono) "
    "does, in at least half of the seeds."
)
REFUTED_BY = "A default start that learns lag 40 in half of its seeds, or a GRU from chrono that does not."
LONGEST, CHRONO = 40, "GRU, chrono"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The standard tables and figures, with a verdict of our own.

    Args:
        scores: one row for each trial, measure, lag and statistic; `farback.frame("first")` gives the same.
        ladder: what partial memory scores on the task.
    """
    found = standard(scores, ladder)
    success = tables.success_by_lag(scores, ["label"])
    rate = success[success["lag"] == LONGEST].set_index("label")["rate"]
    default = rate.drop(CHRONO, errors="ignore")
    text = ", ".join(f"{label} {share:.0%}" for label, share in rate.items())
    verdict = []  # of what was run: the config may be changed
    if len(default):
        verdict.append(held(bool((default < 0.5).all()), f"no default start learns lag {LONGEST}", text))
    if CHRONO in rate:
        verdict.append(held(bool(rate[CHRONO] >= 0.5), f"a GRU from chrono learns lag {LONGEST}", text))
    return Analysis(found.headline, verdict or found.verdict, found.parts, found.metrics)
