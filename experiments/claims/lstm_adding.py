"""Does LSTM learn to add two numbers that lie up to a thousand steps back, from its usual starts?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import STARTS, Share, answered, conditions, learning_figure, outcome_tables, share
from farback.report.evidence import any_of, exact

PREDICTION = (
    "Known beforehand: a pilot at 50 steps, which LSTM from PyTorch's default solves within 1500 updates, and from "
    "chrono sooner. Predicted without data: within 3000 updates of 16 the default solves sequences of 100 steps in "
    "half of the seeds and of 500 in none; chrono solves 500 in half of them; none of the three starts solves 1000."
)
REFUTED_BY = (
    "A default start that fails at 100 steps or that a seed solves at 500; chrono that half cannot solve at 500; half "
    "of the seeds of some start at 1000."
)
SOLVED = 0.9  # skill: a mean squared error of 1/60, a fifth of the error with one number known
PUBLISHED = 1000
BY = ["init.name"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Skills by start and length, and learning curves."""
    found = tables.outcomes(scores, BY)
    reached = {init: longest(found, init) for init in STARTS}
    headline = (
        f"Within {scores['steps'].iloc[0]} updates of {scores['batch'].iloc[0]} half of the seeds of LSTM learn to add "
        "two numbers among: " + "; ".join(f"{STARTS[init]} {steps(length)}" for init, length in reached.items()) + "."
    )
    curves = scores.assign(sequence=2 * scores["trained_lag"])
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each initialisation; the lag is half of the sequence"),
        learning_figure(curves, "Learning to add, by the length of the sequence", "sequence", "init.name", SOLVED),
    ]
    return Analysis(headline, verdict(found), parts, {f"longest/{init}": float(to) for init, to in reached.items()})


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    near, far, chrono = solved(found, "torch", 100), solved(found, "torch", 500), solved(found, "chrono", 500)
    top = {STARTS[init]: solved(found, init, PUBLISHED) for init in STARTS}
    text = ", ".join(f"{name} {one}" for name, one in top.items())
    return [
        held(near.most, "the default solves 100 steps in half of the seeds", str(near)),
        held(far.none, "the default solves 500 steps in none", str(far)),
        held(chrono.most, "chrono solves 500 steps in half of the seeds", str(chrono)),
        held(~any_of(one.most for one in top.values()), "no start solves 1000 steps", text),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to the published claim of the config."""
    found = tables.outcomes(scores, BY)
    at = {init: solved(found, init, PUBLISHED) for init in STARTS}
    others = {init: one for init, one in at.items() if init != "torch"}
    able = [f"{STARTS[init]} ({one})" for init, one in others.items() if one.most.holds]
    reached = "; ".join(f"{STARTS[init]} {steps(longest(found, init))}" for init in STARTS)
    finding = answered(
        f"longest sequence that half of the seeds solve: {reached}; from the default {at['torch']} solve {PUBLISHED}",
        "share of seeds at 1000 steps",
        f"{conditions(scores)}, {int(scores['steps'].iloc[0]) * int(scores['batch'].iloc[0])} sequences at most",
        confirmed=at["torch"].most,
        refuted=exact(False),  # a failure within an eighteenth of the published sequences does not refute
        depends=~at["torch"].most & any_of(one.most for one in others.values()),
        on=f"the start: {' and '.join(able)}",
        reason=f"no start solves {PUBLISHED} steps for certain within an eighteenth of the published sequences",
        of=at["torch"],
    )
    return {"lstm-thousand-adding": finding}


def solved(found: pd.DataFrame, init: str, length: int) -> Share:
    """How many seeds solve sequences of a length."""
    return share(found[found["init.name"] == init], SOLVED, lag=length // 2)


def longest(found: pd.DataFrame, init: str) -> int:
    """The longest sequence that half of the seeds solve; 0 where there is none."""
    lengths = [2 * int(lag) for lag in sorted(set(found["lag"]))]
    return max((length for length in lengths if solved(found, init, length).most.true), default=0)


def steps(length: int) -> str:
    """The length of a sequence as text."""
    return f"{length} steps" if length else "none"
