"""Do recurrent networks that learn the parity of up to 40 bits also compute it for 500 bits?"""

import math

import pandas as pd

from farback.report import Analysis, Figure, Finding, Ladder, Table, at_least, below, exact, held, retained
from farback.report.claim_scripts import Middle, Share, answered, conditions, learning_figure, mean_accuracies
from farback.report.evidence import all_of, any_of

PREDICTION = (
    "Written before any network was trained on parity here. Parity gives no credit for partial memory, so that seeds "
    "learn it suddenly or not at all: in 10 000 updates some seeds of every network, and not all of any. A network "
    "that learned it has a state machine of two states, and is right at 500 bits too."
)
REFUTED_BY = (
    "A network of which no seed, or every seed, learns it; a seed that is right at 40 bits (accuracy 0.95) and below "
    "0.9 beyond."
)
LONGEST, LEARNED, SOLVED, NEAR, APART = 39, 0.95, 0.9, 0.05, 0.2
NETWORKS = {"parity-rnn": "RNN relu, xavier", "parity-lstm": "LSTM, forget_bias"}
TANH = "RNN tanh, xavier"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Accuracy beyond the training lengths."""
    found = beyond(scores)
    each = {name: solved(found, name) for name in dict.fromkeys(found["label"])}
    headline = (
        f"Trained on the parity of up to 40 bits for {scores['steps'].iloc[0]} updates, it is right for 41 to 500 in "
        + "; ".join(f"{one} of the seeds of {name}" for name, one in each.items())
        + "."
    )
    parts: list[Table | Figure] = [
        *retained(scores, ["label"], ladder),
        learning_figure(scores, "Learning parity of 2 to 40 bits"),
    ]
    return Analysis(headline, verdict(found), parts, {f"solved/{name}": one.value for name, one in each.items()})


def beyond(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each seed: its accuracy at the longest training length (`within`), and its mean beyond (`beyond`)."""
    return mean_accuracies(scores, within=(LONGEST, LONGEST), beyond=(LONGEST + 1, math.inf))


def solved(found: pd.DataFrame, network: str) -> Share:
    """How many seeds have a mean accuracy of 0.9 beyond the training lengths."""
    own = found[found["label"] == network]["beyond"]
    return Share(int((own >= SOLVED).sum()), len(own))


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    each = {name: solved(found, name) for name in (*NETWORKS.values(), TANH)}
    some = exact(all(0 < one.successes < one.trials for one in each.values()))
    text = "; ".join(f"{name}: {one}" for name, one in each.items())
    learned = found[found["within"] >= LEARNED]
    short = learned[learned["beyond"] < SOLVED]
    return [
        held(some, "some seeds of every network learn it, and not all of any", text),
        held(
            Share(len(learned) - len(short), max(1, len(learned))).every,
            "what is learned up to 40 bits holds up to 500",
            f"fails in {len(short)} of {len(learned)}",
        ),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = beyond(scores)
    rows = {}
    for claim, network in NETWORKS.items():
        one, own = solved(found, network), found[found["label"] == network]["beyond"]
        text = f"{one}; mean accuracy beyond 40 bits {Middle.of(own)}"
        run = conditions(scores[scores["label"] == network])
        able = found[(found["label"] == network) & (found["within"] >= LEARNED)]
        lost = ~solved(able, network).most if len(able) else exact(False)
        rows[claim] = answered(
            text,
            "share of seeds",
            run,
            confirmed=one.most,
            refuted=Share(len(able), one.trials).most & lost,
            reason="it is open whether half of the seeds learn it within these updates",
            of=one,
        )
    each = {str(name): (float(own.max()), Middle.of(own)) for name, own in found.groupby("label")["beyond"]}
    text = "; ".join(f"{name} {best:.2f} against {typical}" for name, (best, typical) in each.items())
    rows["best-of-runs"] = answered(
        f"best against median: {text}",
        "",
        conditions(scores),
        confirmed=all_of(at_least(typical, best - NEAR) for best, typical in each.values())
        & exact(any(best >= SOLVED for best, _ in each.values())),
        refuted=any_of(below(typical, best - APART) for best, typical in each.values()),
        reason=f"the interval of a median is not within {NEAR:g} of the best, nor {APART:g} below it",
    )
    return rows
