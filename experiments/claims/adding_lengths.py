"""At equal parameters, which networks learn to add over 100 steps, and do they still add over 200 and 400?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held, retained, sized
from farback.report.claim_scripts import Middle, answered, conditions, learning_figure

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
    text = {name: f"{passed[name]} of {seeds[name]} seeds" for name in (GRU, LSTM, TANH)}
    lstm, gru = rmse(found, LSTM, FAR), rmse(found, GRU, FAR)
    return [
        held(bool(passed[GRU] == seeds[GRU]), "every GRU learns T = 100", text[GRU]),
        held(bool(2 * passed[LSTM] >= seeds[LSTM]), "half of the LSTM do", text[LSTM]),
        held(not passed[TANH], "no tanh RNN does", text[TANH]),
        held(lstm.value < gru.value, "LSTM is better than GRU at T = 400", f"{lstm} and {gru}"),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found, run = errors(scores), conditions(scores)
    tanh, lstm, gru = (rmse(found, name, TRAINED) for name in (TANH, LSTM, GRU))
    able = found[(found["lag"] == TRAINED) & found["passed"]].loc[:, ["label", "seed"]]
    learned = found.merge(able, on=["label", "seed"])
    both = {LSTM, GRU} <= set(able["label"])
    far = {name: rmse(learned, name, FAR) for name in (LSTM, GRU) if name in set(able["label"])}
    return {
        "third-party-adding": answered(
            f"RMSE {tanh} (RNN tanh), {lstm} (LSTM), {gru} (GRU)",
            "RMSE of LSTM",
            tanh.value > 0.3 and max(lstm.value, gru.value) < 0.1,
            tanh.value < min(0.3, max(lstm.value, gru.value)),
            "the settings: which of them learns it in time",
            run,
            lstm,
        ),
        "third-party-lengths": answered(
            "RMSE at T = 400 of seeds that learned T = 100: "
            + ("; ".join(f"{name} {one}" for name, one in far.items()) or "none learned it"),
            "RMSE of LSTM at T = 400",
            both and far[LSTM].value < 0.2 and far[GRU].value > 0.35,
            both and far[GRU].value <= far[LSTM].value,
            "the seed" if both else "what was learned at T = 100",
            run,
            far.get(LSTM),
        ),
    }
