"""How many random networks must be tried until one bridges 100 steps, without noise and with it?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Finding, Ladder, Table, above, at_least, at_most, exact, held
from farback.report.claim_scripts import Share, answered, chosen, share

PREDICTION = (
    "Written before any network was guessed. With a spectral radius of 2 one unit in several is a latch, and where "
    "the cue sets it, the readout is right half of the time: between 1 and 20 guesses in 100 solve the lag without "
    "noise. With noise none does: what is shown in between sets the latch again."
)
REFUTED_BY = "Fewer than 2 of 200 without noise or more than 40; one of 200 with noise."
BLANK, NOISE, LSTM_SEQUENCES = "blank", "noise", 5040
FEW = 0.02  # the share of guesses below which "nothing" is found; 200 failures exclude more
BY = ["task.filler"]
RUN = "200 networks of two units, never trained, 200 test sequences each"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The share of random networks that answer correctly."""
    found = tables.outcomes(scores, BY)
    each = {filler: share(chosen(found, **{"task.filler": filler})) for filler in (BLANK, NOISE)}
    rows = [
        {"task.filler": filler, "guesses": one.trials, "right": one.successes, "low": low, "high": high}
        for filler, one in each.items()
        for low, high in [one.interval]
    ]
    shown = pd.DataFrame(
        {
            "between": list(each),
            "right": [str(one) for one in each.values()],
            "sequences": list(map(_cost, each.values())),
        }
    )
    headline = (
        f"Of random networks of two units {each[BLANK]} bridge 100 blank steps, one in some {_cost(each[BLANK])} "
        f"sequences tried; with noise in between {each[NOISE]} do."
    )
    part = Table("guesses", "Random networks that answer both cues correctly", pd.DataFrame(rows), shown)
    return Analysis(headline, verdict(each), [part], {f"share/{name}": one.value for name, one in each.items()})


def verdict(each: dict[str, Share]) -> list[str]:
    """The verdict, with one line for each prediction."""
    blank, noise = each[BLANK], each[NOISE]
    return [
        held(
            at_least(blank, 0.01) & at_most(blank, 0.2),
            "1 to 20 guesses in 100 solve the lag without noise",
            str(blank),
        ),
        held(noise.none, "none does with noise", str(noise)),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = tables.outcomes(scores, BY)
    blank, noise = (share(chosen(found, **{"task.filler": filler})) for filler in (BLANK, NOISE))
    return {
        "hs97-guessing": answered(
            f"{blank} of guesses, a success in some {_cost(blank)} sequences",
            "share of guesses",
            RUN,
            confirmed=above(blank, 2 / LSTM_SEQUENCES),
            refuted=at_most(blank, 2 / LSTM_SEQUENCES),
            reason="none or hardly one of these guesses is right, which is also what one in 2520 would give",
            of=blank,
        ),
        "guessing-against-noise": answered(
            f"{noise} with random symbols, {blank} without",
            "share of guesses",
            RUN,
            confirmed=exact(not noise.successes) & at_most(noise, FEW),
            refuted=exact(noise.successes > 0),
            of=noise,
        ),
    }


def _cost(one: Share) -> str:
    """The mean number of sequences until a success, at two sequences a guess."""
    return f"{2 / one.value:.0f}" if one.successes else f"more than {2 / one.interval[1]:.0f}"
