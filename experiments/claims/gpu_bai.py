"""At 600 steps of adding with 70 000 parameters, which recurrent networks learn it?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, above, at_least, below, held, sized
from farback.report.claim_scripts import Middle, answered, conditions, learning_figure, middle, outcome_tables

PREDICTION = (
    "Written before any of these networks was trained. As published: GRU learns it, LSTM with forget bias 1 and the "
    "tanh RNN stay at chance."
)
REFUTED_BY = "A median skill of GRU of 0.9 or less, or one of 0.1 or more of LSTM or tanh RNN."
GRU, LSTM, TANH = "GRU", "LSTM, forget_bias", "RNN tanh"
HIGH, LOW, HALF = 0.9, 0.1, 0.5


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Final skills and learning curves."""
    found = tables.outcomes(scores)
    each = skills(found)
    text = "; ".join(f"{name} {one}" for name, one in each.items())
    parts: list[Table | Figure] = [
        *outcome_tables(found, ["label"], "The result of each network"),
        learning_figure(scores, "Learning to add two numbers of 600", level=HALF),
        *sized(scores),
    ]
    as_told = above(each[GRU], HIGH) & below(each[LSTM], LOW) & below(each[TANH], LOW)
    verdict = [held(as_told, "GRU learns it, LSTM and tanh RNN stay at chance", text)]
    headline = f"Adding over 600 steps with up to 70 000 parameters: median skill {text}."
    return Analysis(headline, verdict, parts, {f"skill/{name}": one.value for name, one in each.items()})


def skills(found: pd.DataFrame) -> dict[str, Middle]:
    """The median skill of each network."""
    return {name: middle(found, label=name) for name in (GRU, LSTM, TANH)}


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    each = skills(tables.outcomes(scores))
    return {
        "bai-adding-600": answered(
            "; ".join(f"{name} {one}" for name, one in each.items()),
            "skill of GRU",
            conditions(scores),
            confirmed=above(each[GRU], HIGH) & below(each[LSTM], LOW) & below(each[TANH], LOW),
            refuted=at_least(each[LSTM], HALF) | at_least(each[TANH], HALF) | below(each[GRU], HALF),
            of=each[GRU],
        )
    }
