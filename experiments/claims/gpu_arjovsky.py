"""Does LSTM learn adding over 400 and 750 steps, and does expRNN copy over 500 where LSTM does not?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import Share, answered, conditions, learning_figure, outcome_tables, share

PREDICTION = (
    "Written before any of these networks was trained. LSTM with forget bias 1 learns adding over 400 steps in half "
    "of the seeds and over 750 in fewer; on copying over 500 steps it stays at the baseline, and expRNN leaves it."
)
REFUTED_BY = "Another share of seeds, an LSTM that leaves the baseline of copying, or an expRNN that stays there."
LSTM, UNITARY = "LSTM, forget_bias", "expRNN"
SOLVED, LEAVES = 0.9, 0.1
BY = ["label", "task"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Shares of seeds, and learning curves."""
    found = tables.outcomes(scores, BY)
    short, long, lstm, unitary = shares(found)
    headline = (
        f"LSTM learns adding over 400 steps in {short} of seeds, over 750 in {long}; copying over 500 is solved by "
        f"{unitary} of expRNN, and {lstm} of LSTM leave the baseline."
    )
    problem = scores["task"] + ", lag " + scores["trained_lag"].astype(str)
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each network"),
        learning_figure(scores.assign(problem=problem), "Learning to add and to copy", "problem"),
    ]
    verdict = [
        held(short.most & ~long.most, "LSTM learns adding over 400 steps, not over 750", f"{short}, {long}"),
        held(lstm.none, "LSTM stays at the baseline of copying over 500", str(lstm)),
        held(unitary.most, "expRNN solves copying over 500", str(unitary)),
    ]
    return Analysis(headline, verdict, parts, {"rate/adding 400": short.value, "rate/adding 750": long.value})


def shares(found: pd.DataFrame) -> tuple[Share, Share, Share, Share]:
    """Shares of seeds: LSTM that add over 400 and 750 steps, LSTM that beat the copy baseline, expRNN that copy."""
    adding = [share(found, task="adding", lag=lag) for lag in (200, 375)]
    return (
        *(adding[0], adding[1]),
        share(found, LEAVES, task="copy", label=LSTM),
        share(found, SOLVED, task="copy", label=UNITARY),
    )


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = tables.outcomes(scores, BY)
    short, long, lstm, unitary = shares(found)
    some = share(found, 0.5, task="copy", label=UNITARY)
    return {
        "arjovsky-adding-long": answered(
            f"{short} over 400 steps, {long} over 750",
            "share of seeds over 400 steps",
            conditions(scores[scores["task"] == "adding"]),
            confirmed=short.most & ~long.most,
            refuted=~short.most | long.most,
            of=short,
        ),
        "arjovsky-copy-long": answered(
            f"{unitary} of expRNN solve it, {lstm} of LSTM leave the baseline",
            "share of seeds of expRNN",
            conditions(scores[scores["task"] == "copy"]),
            confirmed=unitary.most & ~lstm.most,
            refuted=~some.most | lstm.most,
            of=unitary,
        ),
    }
