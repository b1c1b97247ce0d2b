"""Over 4096 steps, do three layers of minGRU copy selectively, and does one layer of GRU?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, above, at_least, below, held
from farback.report.claim_scripts import Middle, answered, chosen, conditions, learning_figure, middle, outcome_tables

PREDICTION = (
    "Written before any of these networks was trained. Three layers of minGRU copy 0.99 of the tokens, above "
    "minLSTM, and one layer of GRU, which was never run in the publication, does as well as they do."
)
REFUTED_BY = "A median accuracy of minGRU below 0.99 or below that of minLSTM; one of GRU below 0.95."
BY = ["cell", "depth"]
COPIES, SOME = 0.99, 0.9


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Accuracies by cell and depth."""
    found = tables.outcomes(scores, BY)
    mingru, minlstm, gru = (accuracy(found, *network) for network in (("minGRU", 3), ("minLSTM", 3), ("GRU", 1)))
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each network"),
        learning_figure(scores, "Learning to copy 16 tokens selectively out of 4096 steps"),
    ]
    verdict = [
        held(at_least(mingru, COPIES), "three layers of minGRU copy 0.99", str(mingru)),
        held(above(mingru, minlstm), "minGRU stands above minLSTM", f"{mingru} and {minlstm}"),
        held(at_least(gru, 0.95), "one layer of GRU copies 0.95", str(gru)),
    ]
    headline = (
        f"Out of 4096 steps, the share of 16 tokens that is copied: three layers of minGRU {mingru}, of minLSTM "
        f"{minlstm}, one layer of GRU {gru}."
    )
    return Analysis(headline, verdict, parts, {"accuracy/minGRU": mingru.value, "accuracy/GRU": gru.value})


def accuracy(found: pd.DataFrame, cell: str, depth: int) -> Middle:
    """The share of correct tokens."""
    return middle(found, "accuracy", cell=cell, depth=depth)


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = tables.outcomes(scores, BY)
    depths = {cell: sorted(set(chosen(found, cell=cell)["depth"])) for cell in ("minGRU", "minLSTM")}
    mingru, minlstm = accuracy(found, "minGRU", 3), accuracy(found, "minLSTM", 3)
    return {
        "mingru-selective-copy-4096": answered(
            "; ".join(
                f"{cell} {', '.join(str(accuracy(found, cell, depth)) for depth in own)} from one layer on"
                for cell, own in depths.items()
            ),
            "accuracy of three layers of minGRU",
            conditions(scores),
            confirmed=at_least(mingru, COPIES) & above(mingru, minlstm),
            refuted=below(mingru, SOME),
            reason="three layers of minGRU are between 0.9 and 0.99, or not for certain above minLSTM",
            of=mingru,
        )
    }
