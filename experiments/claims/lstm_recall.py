"""Does LSTM bridge a thousand steps from its usual starts, and how many times farther than a simple RNN?"""

from typing import Any

import pandas as pd

from farback import tables
from farback.report import Analysis, Finding, Ladder, at_least, at_most, below, conditions, held, metrics, trained
from farback.report.claim_scripts import STARTS, answered, mean_horizon, only, ratio, shown_ratio
from farback.report.evidence import all_of, any_of
from farback.report.sweep_report import learned_sentence

PREDICTION = (
    "Written before any of these networks was trained at lags above 160. Known from `horizon`: from PyTorch's default "
    "LSTM stops between 10 and 40 steps, from chrono it passes 160. Predicted: chrono, whose gates start with time "
    "constants up to the lag itself, bridges 1000 steps in half of the seeds; a forget bias of 1, which keeps 3.7 "
    "steps, ends below 100; PyTorch's default ends below 50. LSTM from chrono reaches at least 20 times as far as the "
    "tanh RNN from PyTorch's default, LSTM from the default less far than it. Since then chrono has gates for up to "
    "4000 steps at every lag, instead of for the lag itself, and the learning rate is tuned for each network."
)
REFUTED_BY = (
    "A horizon of LSTM below 1000 from chrono, of 100 or more from a forget bias of 1, or of 50 or more from the "
    "default start; a ratio of horizons below 20 for chrono, or above 1 for the default start."
)
THOUSAND, HUNDRED, TWENTY = 1000, 100.0, 20.0


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Horizons of LSTM from three starts, and of the tanh RNN from two."""
    parts = trained(scores, within=["cell"], family=["cell", "init"])
    horizons = parts[0].frame
    headline = learned_sentence(scores, horizons, ["label"])
    return Analysis(headline, verdict(scores), parts, *metrics({"trainability": horizons}))


def verdict(scores: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    base, far, biased, plain = (
        row(scores, cell, init)
        for cell, init in (("RNN tanh", "torch"), ("LSTM", "chrono"), ("LSTM", "forget_bias"), ("LSTM", "torch"))
    )
    best, own = ratio(far, base), ratio(plain, base)
    return [
        held(at_least(mean_horizon(far), THOUSAND), "half of the seeds from chrono learn lag 1000", far["horizon"]),
        held(below(mean_horizon(biased), 100), "a forget bias of 1 ends below 100", biased["horizon"]),
        held(below(mean_horizon(plain), 50), "PyTorch's default ends below 50", plain["horizon"]),
        held(
            at_least(best, TWENTY),
            "LSTM from chrono reaches 20 times as far as a default tanh RNN",
            shown_ratio(best),
        ),
        held(
            at_most(own, 1),
            "LSTM from the default does not reach farther than a default tanh RNN",
            shown_ratio(own),
        ),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    horizons = {init: row(scores, "LSTM", init) for init in STARTS}
    others = [init for init in STARTS if init != "torch"]
    base = row(scores, "RNN tanh", "torch")
    times = {init: ratio(own, base) for init, own in horizons.items()}
    hundred = [STARTS[init] for init in others if at_least(times[init], HUNDRED).holds]
    return {
        "lstm-hundredfold": answered(
            "; ".join(f"{STARTS[init]} {shown_ratio(times[init])}" for init in STARTS),
            "times the horizon of a tanh RNN",
            conditions(scores),
            confirmed=at_least(times["torch"], HUNDRED),
            refuted=all_of(below(times[init], HUNDRED) for init in STARTS),
            depends=below(times["torch"], HUNDRED) & any_of(at_least(times[init], HUNDRED) for init in others),
            on=f"the start: only {' and '.join(hundred)} gets there",
            reason="the interval of a ratio has 100 within it",
            of=times["torch"],
        ),
    }


def row(scores: pd.DataFrame, cell: str, init: str) -> dict[Any, Any]:
    """A network's row of `tables.trainability`."""
    horizons = tables.trainability(scores, ["cell", "init.name"])
    return only(horizons, cell=cell, **{"init.name": init})
