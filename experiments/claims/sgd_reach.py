"""How far back does a simple RNN learn to look by plain gradient descent?

The claim that an RNN cannot bridge more than 5-10 steps was made about networks trained by gradient descent. The
experiment `demo` trains the same networks with Adam. The learning rate is the best of three for each start, chosen on
seeds that are not counted further.
"""

from typing import Any

import pandas as pd

from farback import tables
from farback.report import Analysis, Finding, Ladder, at_least, below, conditions, held, metrics, trained
from farback.report.claim_scripts import answered, mean_horizon, only
from farback.report.evidence import above, all_of, at_most
from farback.report.horizon_texts import reach_text
from farback.report.sweep_report import learned_sentence

PREDICTION = (
    "Written before any network was trained by SGD here. From PyTorch's default, whose gradient falls to a thousandth "
    "within a dozen steps, fewer than half of the seeds learn lag 20 at any of the three rates, and lag 2 is learned. "
    "From the orthogonal start, whose gradient reaches several times farther, half learn lag 20. At rate 0.01 neither "
    "learns lag 10 within these updates: plain descent is slow."
)
REFUTED_BY = (
    "A horizon from the default of 20 or more, or below 2; a horizon from the orthogonal start below 20; a start whose "
    "horizon at rate 0.01 is 10 or more."
)
FAR, NEAR, SLOW = 20, 2, 10
SLOW_RATE = "optimizer.lr 0.01"
DEFAULT, ORTHOGONAL = "torch", "orthogonal"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Horizons of both starts, and what every rate came to."""
    parts = trained(scores, ["init"])
    horizons = parts[0].frame
    headline = f"A tanh RNN trained by plain gradient descent. {learned_sentence(scores, horizons, ['init'])}"
    return Analysis(headline, verdict(scores), parts, *metrics({"trainability": horizons}))


def verdict(scores: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    default, orthogonal = row(scores, DEFAULT), row(scores, ORTHOGONAL)
    lines = [
        held(
            below(mean_horizon(default), FAR),
            f"at its chosen rate the default does not learn lag {FAR}",
            default["horizon"],
        ),
        held(at_least(mean_horizon(default), NEAR), f"from the default lag {NEAR} is learned", default["horizon"]),
        held(
            at_least(mean_horizon(orthogonal), FAR),
            f"from the orthogonal start half learn lag {FAR}",
            orthogonal["horizon"],
        ),
    ]
    choices = tables.choices(scores, ["init"]) if "tuned" in scores else pd.DataFrame(columns=["tuned"])
    slow = choices[choices["tuned"] == SLOW_RATE].to_dict("records")
    if slow:
        text = ", ".join(f"{one['init']} {one['horizon']}" for one in slow)
        none = all_of(below(mean_horizon(one), SLOW) for one in slow)
        lines.append(held(none, f"at rate 0.01 neither start learns lag {SLOW}", text))
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to the published claim of the config."""
    default, orthogonal = row(scores, DEFAULT), row(scores, ORTHOGONAL)
    far, farther = mean_horizon(default), mean_horizon(orthogonal)
    finding = answered(
        f"from PyTorch's default {reach_text(default)}; from the orthogonal start {reach_text(orthogonal)}",
        "steps",
        conditions(scores),
        confirmed=at_most(far, FAR) & at_most(farther, FAR),
        refuted=above(far, FAR),
        depends=at_most(far, FAR) & above(farther, FAR),
        on=f"the start: more than {FAR} steps are learned from the orthogonal one alone",
        reason=f"the interval of a horizon has {FAR} steps within it",
        of=far,
    )
    return {"rnn-bridge-sgd": finding}


def row(scores: pd.DataFrame, init: str) -> dict[Any, Any]:
    """The row of `tables.trainability` of a start."""
    return only(tables.trainability(scores, ["init"]), init=init)
