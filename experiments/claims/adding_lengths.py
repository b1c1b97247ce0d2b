"""At equal parameters, which networks learn to add over 100 steps, and do they still add over 200 and 400?"""

import math

import pandas as pd

from farback import tables
from farback.report import (
    Analysis,
    Figure,
    Finding,
    Ladder,
    Table,
    above,
    at_least,
    at_most,
    below,
    held,
    retained,
    sized,
)
from farback.report.claim_scripts import Middle, Share, answered, conditions, learning_figure
from farback.report.evidence import exact

PREDICTION = (
    "Written before any of these networks was trained at this length. GRU learns T = 100 in every seed within 3000 "
    "updates, LSTM from the default start in half of them, the tanh RNN in none. At T = 400 GRU is worse than LSTM, "
    "as published: its state is a moving average, LSTM's can stand still."
)
REFUTED_BY = (
    "A GRU that fails at T = 100; fewer than half of LSTM, or a tanh RNN that learns it; LSTM no better at T = 400."
)
TANH, LSTM, GRU = "RNN tanh", "LSTM", "GRU"
TRAINED, FAR = 50, 200  # lags: half of a sequence
CHANCE = 1 / 6  # mean squared error


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Errors at the training length and beyond it."""
    found = errors(scores)
    near, far = ({name: rmse(found, name, lag) for name in (TANH, LSTM, GRU)} for lag in (TRAINED, FAR))
    headline = (
        f"After {scores['steps'].iloc[0]} updates at 100 steps the root mean squared error is there, and at 400: "
        + "; ".join(f"{name} {near[name]}, {far[name]}" for name in near)
        + " (medians over seeds, chance .408)."
    )
    parts: list[Table | Figure] = [
        *retained(scores, ["label"], ladder),
        learning_figure(scores, "Learning to add two numbers of 100", level=0.5),
        *sized(scores),
    ]
    return Analysis(headline, verdict(found), parts, {f"rmse/{name}": one.value for name, one in near.items()})


def errors(scores: pd.DataFrame) -> pd.DataFrame:
    """Root mean squared error of every seed at every test lag; a trial that diverged gets the error of chance."""
    curves = tables.retention_curves(scores)
    return curves.assign(rmse=(CHANCE * (1 - curves["skill"])).clip(lower=0.0) ** 0.5)


def rmse(found: pd.DataFrame, network: str, lag: int) -> Middle:
    """The median error over seeds."""
    return Middle.of(found[(found["label"] == network) & (found["lag"] == lag)]["rmse"])


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    own = found[found["lag"] == TRAINED].groupby("label")["passed"]
    passed, seeds = own.sum(), own.size()
    each = {name: Share(int(passed[name]), int(seeds[name])) for name in (GRU, LSTM, TANH)}
    lstm, gru = rmse(found, LSTM, FAR), rmse(found, GRU, FAR)
    return [
        held(each[GRU].every, "every GRU learns T = 100", str(each[GRU])),
        held(each[LSTM].most, "half of the LSTM do", str(each[LSTM])),
        held(each[TANH].none, "no tanh RNN does", str(each[TANH])),
        held(below(lstm, gru), "LSTM is better than GRU at T = 400", f"{lstm} and {gru}"),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found, run = errors(scores), conditions(scores)
    tanh, lstm, gru = (rmse(found, name, TRAINED) for name in (TANH, LSTM, GRU))
    able = found[(found["lag"] == TRAINED) & found["passed"]].loc[:, ["label", "seed"]]
    learned = found.merge(able, on=["label", "seed"])
    both = exact({LSTM, GRU} <= set(able["label"]))
    far = {name: rmse(learned, name, FAR) for name in (LSTM, GRU) if name in set(able["label"])}
    unknown = Middle(math.nan, math.nan, math.nan)
    lstm_far, gru_far = far.get(LSTM, unknown), far.get(GRU, unknown)
    return {
        "third-party-adding": answered(
            f"RMSE {tanh} (RNN tanh), {lstm} (LSTM), {gru} (GRU)",
            "RMSE of LSTM",
            run,
            confirmed=above(tanh, 0.3) & below(lstm, 0.1) & below(gru, 0.1),
            refuted=below(tanh, 0.3) & (below(tanh, lstm) | below(tanh, gru)),
            reason="it is open which of them learn it in time",
            of=lstm,
        ),
        "third-party-lengths": answered(
            "RMSE at T = 400 of seeds that learned T = 100: "
            + ("; ".join(f"{name} {one}" for name, one in far.items()) or "none learned it"),
            "RMSE of LSTM at T = 400",
            run,
            confirmed=both & below(lstm_far, 0.2) & above(gru_far, 0.35),
            refuted=both & (at_least(lstm_far, 0.2) | at_most(gru_far, lstm_far)),
            reason="the intervals of the seeds overlap" if both.true else "LSTM or GRU did not learn T = 100",
            of=far.get(LSTM),
        ),
    }
