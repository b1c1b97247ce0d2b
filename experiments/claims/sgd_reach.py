"""How far back does a simple RNN learn to look by plain gradient descent?

The claim that an RNN cannot bridge more than 5-10 steps was made about networks trained by gradient descent. The
experiment `demo` trains the same networks with Adam.
"""

from typing import Any

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import Share, answered, chosen, conditions, mean_horizon, share
from farback.report.evidence import Evidence, any_of
from farback.report.sweep_report import reach_text, shown

PREDICTION = (
    "Written before any network was trained by SGD here. From PyTorch's default, whose gradient falls to a thousandth "
    "within a dozen steps, fewer than half of the seeds learn lag 20 at any of the three rates, and all learn lag 2 at "
    "rate 1. From the orthogonal start, whose gradient reaches several times farther, half learn lag 20 at rate 1. At "
    "rate 0.01 neither learns lag 10 within these updates: plain descent is slow."
)
REFUTED_BY = (
    "Half of the default seeds at lag 20 at some rate, or a seed that fails at lag 2 at rate 1; fewer than half of the "
    "orthogonal seeds at lag 20 at rate 1; half of the seeds of a start at lag 10 at rate 0.01."
)
BY = ["init", "optimizer.lr"]
FAR, SLOW, FAST = 20, 0.01, 1.0
DEFAULT, ORTHOGONAL = "torch", "orthogonal"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Horizons of every start and rate."""
    horizons, success = tables.trainability(scores, BY), tables.success_by_lag(scores, BY)
    drawn = success.loc[:, ["init", "optimizer.lr", "lag", "trials", "rate", "low", "high"]]
    drawn = drawn.rename(columns={"trials": "seeds", "rate": "median", "optimizer.lr": "learning rate"})
    drawing = plots.trend(
        drawn,
        "lag",
        "learning rate",
        "init",
        title="Share of seeds that learn a lag by plain gradient descent",
        value="share of seeds",
        setting="training lag (steps)",
        level=0.5,
    )
    best = {init: reach(scores, init) for init in (DEFAULT, ORTHOGONAL)}
    headline = (
        f"By plain gradient descent ({conditions(scores)}) half of the seeds of a tanh RNN learn, at the best rate: "
        + "; ".join(f"{init} {row['horizon']} steps (rate {row['optimizer.lr']:g})" for init, row in best.items())
        + "."
    )
    parts: list[Table | Figure] = [
        Table(
            "horizons",
            "The lag that half of the seeds learn, by start and rate",
            horizons,
            shown(horizons, BY, success),
        ),
        Figure(
            "success",
            "Share of seeds that learn a lag",
            drawing,
            drawn,
            "Share of seeds against the training lag, a line for each learning rate, a panel for each start.",
        ),
    ]
    metrics = {f"horizon/{init}": float(row["estimate"]) for init, row in best.items()}
    return Analysis(headline, verdict(scores), parts, metrics)


def verdict(scores: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    default, orthogonal = most(scores, DEFAULT, FAR), learned(scores, ORTHOGONAL, FAR, FAST)
    near = learned(scores, DEFAULT, 2, FAST)
    slow = {init: learned(scores, init, 10, SLOW) for init in (DEFAULT, ORTHOGONAL)}
    text = ", ".join(f"{init} {found}" for init, found in slow.items())
    return [
        held(~_some_rate(scores, DEFAULT), f"from the default no rate learns lag {FAR}", str(default)),
        held(near.every, "from the default every seed learns lag 2 at rate 1", str(near)),
        held(orthogonal.most, f"from the orthogonal start half learn lag {FAR} at rate 1", str(orthogonal)),
        held(~any_of(found.most for found in slow.values()), "at rate 0.01 neither start learns lag 10", text),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to the published claim of the config."""
    default, orthogonal = most(scores, DEFAULT, FAR), most(scores, ORTHOGONAL, FAR)
    row, other = reach(scores, DEFAULT), reach(scores, ORTHOGONAL)
    number = f"from PyTorch's default {reach_text(row)}; from the orthogonal start {reach_text(other)}"
    finding = answered(
        number,
        "steps",
        conditions(scores),
        confirmed=~_some_rate(scores, DEFAULT) & ~_some_rate(scores, ORTHOGONAL),
        refuted=_some_rate(scores, DEFAULT),
        depends=~_some_rate(scores, DEFAULT) & _some_rate(scores, ORTHOGONAL),
        on=f"the start: from the orthogonal one {orthogonal} seeds learn lag {FAR}",
        reason=f"open is whether half of the seeds learn lag {FAR} from PyTorch's default: {default} at the best rate",
        of=mean_horizon(row),
    )
    return {"rnn-bridge-sgd": finding}


def learned(scores: pd.DataFrame, init: str, lag: int, rate: float) -> Share:
    """How many seeds learn a lag from a start, at one rate."""
    found = tables.outcomes(scores, BY)
    return share(found[found["optimizer.lr"] == rate], init=init, lag=lag)


def most(scores: pd.DataFrame, init: str, lag: int) -> Share:
    """How many seeds learn a lag from a start, at the learning rate with the most successes."""
    rates = sorted(set(scores["optimizer.lr"]))
    return max((learned(scores, init, lag, rate) for rate in rates), key=lambda found: found.value)


def _some_rate(scores: pd.DataFrame, init: str) -> Evidence:
    """Whether half of the seeds learn the far lag from a start at one of the rates at least."""
    return any_of(learned(scores, init, FAR, rate).most for rate in sorted(set(scores["optimizer.lr"])))


def reach(scores: pd.DataFrame, init: str) -> dict[Any, Any]:
    """The row of `tables.trainability` for the learning rate that reaches farthest from a start."""
    own = chosen(tables.trainability(scores, BY), init=init)
    return max(own.to_dict("records"), key=lambda row: float(row["estimate"]))
