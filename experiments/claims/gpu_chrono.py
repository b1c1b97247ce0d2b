"""Over 500 steps, does the chrono start copy where a forget bias of 1 does not, with fixed and with varying delays?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, above, at_least, at_most, held
from farback.report.claim_scripts import Middle, answered, conditions, learning_figure, middle, outcome_tables

PREDICTION = (
    "Written before any of these networks was trained. With a fixed delay of 500 chrono ends above forget bias 1, "
    "with varying delays it does not."
)
REFUTED_BY = "A median of chrono no higher with the fixed delay, or an interval above with varying ones."
BIASED, CHRONO = "LSTM, forget_bias", "LSTM, chrono (longest 520)"
FIXED, VARYING = "fixed", "uniform 11-510"
BY = ["label", "train_lags"]
LEAVES, SOLVES = 0.1, 0.5


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Skills of recalled symbols, and learning curves."""
    found = tables.outcomes(scores, BY)
    one, other, vary, plain = skills(found)
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each initialisation, at the longest delay"),
        learning_figure(scores, "Learning to copy ten symbols over 500 steps", "train_lags"),
    ]
    verdict = [
        held(above(one, other), "chrono ends above forget bias 1", f"{one} and {other}"),
        held(at_most(vary, plain), "with varying delays it does not", f"{vary} and {plain}"),
    ]
    headline = (
        f"Copying over 500 steps the median skill is {one} from chrono and {other} from forget bias 1; with varying "
        f"delays {vary} and {plain}."
    )
    return Analysis(headline, verdict, parts, {"skill/chrono": one.value, "skill/forget_bias": other.value})


def skills(found: pd.DataFrame) -> tuple[Middle, Middle, Middle, Middle]:
    """The skills of chrono and forget bias 1 with a fixed delay, then with varying delays."""
    return (
        middle(found, label=CHRONO, train_lags=FIXED),
        middle(found, label=BIASED, train_lags=FIXED),
        middle(found, label=CHRONO, train_lags=VARYING),
        middle(found, label=BIASED, train_lags=VARYING),
    )


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    one, other, vary, plain = skills(tables.outcomes(scores, BY))
    run = {delay: conditions(scores[scores["train_lags"] == delay]) for delay in (FIXED, VARYING)}
    return {
        "chrono-copy-500": answered(
            f"skill {one} from chrono, {other} with forget bias 1",
            "skill from chrono",
            run[FIXED],
            confirmed=above(one, other) & at_least(one, SOLVES),
            refuted=at_most(one, other) & at_least(other, LEAVES),
            of=one,
        ),
        "chrono-variable-copy-500": answered(
            f"skill {vary} from chrono, {plain} with forget bias 1",
            "skill from chrono",
            run[VARYING],
            confirmed=at_most(vary, plain) & at_least(plain, LEAVES),
            refuted=above(vary, plain) & at_least(vary, LEAVES),
            of=vary,
        ),
    }
