"""The prediction for configs/first.yaml, written before the run, and how it is judged.

This file is optional: without it the report has the same tables and figures, but no verdict.
"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Ladder, all_of, held, standard
from farback.report.claim_scripts import Share

PREDICTION = (
    "With PyTorch's default initialisation, no network learns a lag of 40. A GRU with chrono initialisation, whose "
    "gates keep information for long from the start, learns it in at least half of the seeds."
)
REFUTED_BY = "A default initialisation learns lag 40 in half of its seeds, or a GRU with chrono does not."
LONGEST, CHRONO = 40, "GRU, chrono"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The standard tables and figures, and a verdict on the prediction.

    Args:
        scores: one row for each trial, measure, lag and statistic, as `farback.frame("first")` returns.
        ladder: scores of partial memory on the task.
    """
    analysis = standard(scores, ladder)
    success = tables.success_by_lag(scores, ["label"])
    rows = success[success["lag"] == LONGEST].to_dict("records")
    learned = {row["label"]: Share(row["successes"], row["trials"]) for row in rows}
    default = {label: share for label, share in learned.items() if label != CHRONO}
    text = ", ".join(f"{label} {share}" for label, share in learned.items())
    verdict = []  # only about what was trained, because the config may be changed
    if default:
        verdict.append(
            held(
                all_of(~share.most for share in default.values()),
                f"no default initialisation learns lag {LONGEST}",
                text,
            )
        )
    if CHRONO in learned:
        verdict.append(held(learned[CHRONO].most, f"a GRU with chrono learns lag {LONGEST}", text))
    return Analysis(analysis.headline, verdict or analysis.verdict, analysis.parts, analysis.metrics, analysis.tags)
