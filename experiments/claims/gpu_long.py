"""Do LSTM and IndRNN learn adding over 1000 and 5000 steps?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import Share, answered, chosen, conditions, learning_figure, outcome_tables, share

PREDICTION = (
    "Written before any of these networks was trained. Half of the seeds of the LSTM of 1997 explain half of the "
    "variance over 1000 steps, and fewer are right within .04 in 0.99 of the sums; IndRNN learns 5000 steps."
)
REFUTED_BY = (
    "Fewer than half of the LSTM with skill 0.5, or half with 0.99 right; fewer than half of IndRNN with skill 0.9."
)
RIGHT, KEPT = 0.99, 0.9
BY = ["cell"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Shares of seeds, and learning curves."""
    found = tables.outcomes(scores, BY)
    right, learned, kept = shares(found)
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each network"),
        learning_figure(scores, "Learning to add two numbers of 1000 and of 5000", level=0.5),
    ]
    verdict = [
        held(learned.most & ~right.most, "half of the LSTM learn 1000 steps, fewer well", f"{learned}, {right}"),
        held(kept.most, "half of IndRNN learn 5000 steps", str(kept)),
    ]
    headline = (
        f"Adding over 1000 steps is right within .04 for {right} seeds of LSTM without forget gates; over 5000 "
        f"{kept} seeds of IndRNN learn it."
    )
    return Analysis(headline, verdict, parts, {"rate/LSTM": right.value, "rate/IndRNN": kept.value})


def shares(found: pd.DataFrame) -> tuple[Share, Share, Share]:
    """Shares of seeds: LSTM with 0.99 of sums within .04, LSTM that explain half of the variance, IndRNN that learn."""
    own = chosen(found, cell="LSTM")["accuracy"]
    return Share(int((own >= RIGHT).sum()), len(own)), share(found, cell="LSTM"), share(found, KEPT, cell="IndRNN")


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = tables.outcomes(scores, BY)
    right, learned, kept = shares(found)
    run = {cell: conditions(scores[scores["cell"] == cell]) for cell in ("LSTM", "IndRNN")}
    some = share(found, 0.5, cell="IndRNN")
    return {
        "hs97-adding-1000": answered(
            f"{right} right in 0.99 of the sums, {learned} with skill 0.5",
            "share of seeds",
            run["LSTM"],
            confirmed=right.most,
            refuted=~learned.most,
            of=right,
        ),
        "indrnn-5000": answered(kept, "share of seeds", run["IndRNN"], confirmed=kept.most, refuted=~some.most),
    }
