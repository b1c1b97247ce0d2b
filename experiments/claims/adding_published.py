"""Does an identity-relu RNN learn adding over 100 and 150 steps, where LSTM does and a tanh RNN does not?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import Share, answered, conditions, learning_figure, outcome_tables, share

PREDICTION = (
    "Written before any of these networks was trained; known from the pilot at T = 50 is that identity-relu nets "
    "learn and tanh does not within 1500 updates of Adam 5e-3. Predicted: at T = 100 with RMSprop LSTM learns adding "
    "in half of the seeds, tanh in none, IRNN in half too, against Arjovsky et al.; at T = 150 with Adam IRNN learns "
    "it in half of the seeds, as Le et al. say, and LSTM in fewer."
)
REFUTED_BY = (
    "Fewer than three seeds of five of LSTM or of IRNN at T = 100, one of tanh at any length, fewer than three of "
    "IRNN at T = 150, or three of LSTM there."
)
LSTM, TANH, IRNN = "LSTM, forget_bias", "RNN tanh", "RNN relu, identity"
SHORT, LONG = 50, 75  # lags: half of a sequence


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Shares of seeds, and learning curves."""
    found = tables.outcomes(scores)
    headline = (
        f"Within {scores['steps'].iloc[0]} updates "
        + "; ".join(
            f"adding over {2 * lag} steps is learned by {', '.join(f'{one} of {name}' for name, one in own.items())}"
            for lag, own in ((lag, learned(found, lag)) for lag in (SHORT, LONG))
        )
        + "."
    )
    named = scores.assign(published="T = " + (2 * scores["trained_lag"]).astype(str) + ", " + scores["optimizer.name"])
    parts: list[Table | Figure] = [
        *outcome_tables(found, ["label"], "The result of each network"),
        learning_figure(named, "Learning to add two numbers of 100 and of 150", "published", level=0.5),
    ]
    metrics = {f"rate/{name} {lag}": one.value for lag in (SHORT, LONG) for name, one in learned(found, lag).items()}
    return Analysis(headline, verdict(found), parts, metrics)


def learned(found: pd.DataFrame, lag: int) -> dict[str, Share]:
    """Shares of seeds at a lag, by network."""
    return {name: share(found, label=name, lag=lag) for name in (LSTM, TANH, IRNN)}


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    short, long = learned(found, SHORT), learned(found, LONG)
    return [
        held(short[LSTM].most, "LSTM learns T = 100 in half of the seeds", str(short[LSTM])),
        held(short[IRNN].most, "IRNN does too", str(short[IRNN])),
        held(short[TANH].none & long[TANH].none, "tanh learns neither length", f"{short[TANH]}, {long[TANH]}"),
        held(long[IRNN].most, "IRNN learns T = 150 in half of the seeds", str(long[IRNN])),
        held(~long[LSTM].most, "LSTM learns T = 150 in fewer", str(long[LSTM])),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = tables.outcomes(scores)
    short, long = learned(found, SHORT), learned(found, LONG)
    run = {lag: conditions(scores[scores["trained_lag"] == lag]) for lag in (SHORT, LONG)}
    simple = [name for name in (TANH, IRNN) if short[name].most.holds]
    either, both = short[TANH].most | short[IRNN].most, short[TANH].most & short[IRNN].most
    floor = "none of the three learned it within these updates"
    undecided = {
        lag: floor if not any(one.successes for one in own.values()) else "it is open which of the three learn it"
        for lag, own in ((SHORT, short), (LONG, long))
    }
    return {
        "arjovsky-adding": answered(
            _listed(short),
            "share of seeds of LSTM",
            run[SHORT],
            confirmed=short[LSTM].most & ~either,
            refuted=(either & ~short[LSTM].most) | both,
            depends=short[LSTM].most & either & ~both,
            on=f"the simple network: {' and '.join(simple)} learns it too",
            reason=undecided[SHORT],
            of=short[LSTM],
        ),
        "le-irnn-adding": answered(
            _listed(long),
            "share of seeds of IRNN",
            run[LONG],
            confirmed=long[LSTM].most & long[IRNN].most & ~long[TANH].most,
            refuted=(long[LSTM].most & ~long[IRNN].most) | long[TANH].most,
            reason=undecided[LONG],
            of=long[IRNN],
        ),
    }


def _listed(shares: dict[str, Share]) -> str:
    return "; ".join(f"{name} {one}" for name, one in shares.items())
