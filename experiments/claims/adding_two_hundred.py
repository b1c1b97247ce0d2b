"""Over 200 steps, which networks of equal size learn to add, and does a chrono start learn it sooner?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held, sized
from farback.report.claim_scripts import Middle, answered, conditions, learning_figure, middle, outcome_tables, share

PREDICTION = (
    "Written before any of these networks was trained; known from the pilot at T = 50 is the order GRU, chrono LSTM, "
    "default LSTM, tanh. Predicted: at T = 200 GRU and the chrono LSTM learn it in 5000 updates in every seed, the "
    "chrono LSTM no later than GRU; the LSTM with forget bias 1 in fewer than half, the default LSTM and tanh in "
    "none."
)
REFUTED_BY = (
    "A seed of GRU or of the chrono LSTM that fails; a chrono LSTM later than GRU in the median; three seeds of five "
    "of the LSTM with forget bias 1; one of the default LSTM or of tanh."
)
GRU, CHRONO, BIASED, LSTM, TANH = "GRU", "LSTM, chrono (longest 200)", "LSTM, forget_bias", "LSTM", "RNN tanh"
HIGH, HALF = 0.9, 0.5


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Final skills, and when each network learned it."""
    found = tables.outcomes(scores)
    each = {name: share(found, label=name) for name in dict.fromkeys(found["label"])}
    headline = (
        f"Adding over 200 steps with up to {scores['match'].iloc[0].split()[1]} parameters is learned within "
        f"{scores['steps'].iloc[0]} updates by "
        + "; ".join(f"{one} of the seeds of {name}" for name, one in each.items())
        + "."
    )
    parts: list[Table | Figure] = [
        *outcome_tables(found, ["label"], "The result of each network"),
        learning_figure(scores, "Learning to add two numbers of 200", level=HALF),
        *sized(scores),
    ]
    return Analysis(headline, verdict(scores), parts, {f"rate/{name}": one.value for name, one in each.items()})


def verdict(scores: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    found = tables.outcomes(scores)
    each = {name: share(found, label=name) for name in (GRU, CHRONO, BIASED, LSTM, TANH)}
    soon, gru = learned_after(scores, CHRONO), learned_after(scores, GRU)
    whole = all(each[name].successes == each[name].trials for name in (GRU, CHRONO))
    none = not any(each[name].successes for name in (LSTM, TANH))
    return [
        held(whole, "every seed of GRU and of the chrono LSTM learns it", f"{each[GRU]}, {each[CHRONO]}"),
        held(soon.value <= gru.value, "the chrono LSTM is no later than GRU", f"after {soon} and {gru} updates"),
        held(not each[BIASED].most, "fewer than half of the LSTM with forget bias 1 learn it", str(each[BIASED])),
        held(none, "no default LSTM and no tanh RNN learns it", f"{each[LSTM]}, {each[TANH]}"),
    ]


def learned_after(scores: pd.DataFrame, network: str) -> Middle:
    """Updates until half of the variance was explained; all updates if it never was."""
    own = scores[(scores["label"] == network) & (scores["measure"] == "valid") & (scores["statistic"] == "skill")]
    first = own[own["value"] >= HALF].groupby("key")["step"].min()
    given = scores[scores["label"] == network].groupby("key")["steps"].first()
    return Middle.of(first.reindex(given.index).fillna(given).astype(float))


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found, run = tables.outcomes(scores), conditions(scores)
    gru, biased, tanh = (middle(found, label=name) for name in (GRU, BIASED, TANH))
    soon, late = learned_after(scores, CHRONO), learned_after(scores, BIASED)
    learns = {name: share(found, HALF, label=name) for name in (BIASED, TANH)}
    chrono, default = share(found, label=CHRONO), share(found, label=LSTM)
    return {
        "bai-adding": answered(
            f"skill {gru} (GRU), {biased} (LSTM), {tanh} (RNN tanh); learned by {learns[BIASED].count} seeds of LSTM",
            "skill of GRU",
            gru.value > HIGH and not any(one.successes for one in learns.values()),
            biased.value >= max(HALF, gru.value),
            "the seed: some of LSTM learn it too" if learns[BIASED].successes else "length and updates",
            run,
            gru,
        ),
        "chrono-adding": answered(
            f"after {soon} updates, against {late} with forget bias 1, of which {share(found, label=BIASED).count} "
            f"seeds learn it in the {int(late.high)} that they have",
            "updates, chrono",
            late.above(soon),
            soon.value >= late.value and share(found, label=BIASED).most,
            "seed and updates",
            run,
            soon,
        ),
        "chrono-against-default": answered(
            f"{chrono} from chrono, {default} from the default",
            "share of seeds from chrono",
            chrono.successes == chrono.trials and not default.most,
            default.most and default.successes >= chrono.successes,
            "the seed and the updates",
            run,
            chrono,
        ),
    }
