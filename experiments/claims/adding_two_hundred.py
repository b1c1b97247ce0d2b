"""Over 200 steps, which networks of equal size learn to add, and does a chrono start learn it sooner?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, above, at_least, at_most, held, sized
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
    whole, none = each[GRU].every & each[CHRONO].every, each[LSTM].none & each[TANH].none
    return [
        held(whole, "every seed of GRU and of the chrono LSTM learns it", f"{each[GRU]}, {each[CHRONO]}"),
        held(at_most(soon, gru), "the chrono LSTM is no later than GRU", f"after {soon} and {gru} updates"),
        held(~each[BIASED].most, "fewer than half of the LSTM with forget bias 1 learn it", str(each[BIASED])),
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
            run,
            confirmed=above(gru, HIGH) & ~learns[BIASED].most & ~learns[TANH].most,
            refuted=learns[BIASED].most | learns[TANH].most,
            reason="it is open whether half of the seeds of LSTM learn it"
            if learns[BIASED].successes
            else "GRU did not learn it within these updates",
            of=gru,
        ),
        "chrono-adding": answered(
            f"after {soon} updates, against {late} with forget bias 1, of which {share(found, label=BIASED).count} "
            f"seeds learn it in the {int(late.high)} that they have",
            "updates, chrono",
            run,
            confirmed=above(late, soon),
            refuted=at_least(soon, late) & share(found, label=BIASED).most,
            of=soon,
        ),
        "chrono-against-default": answered(
            f"{chrono} from chrono, {default} from the default (p = {chrono.difference_p(default):.2g})",
            "share of seeds from chrono",
            run,
            confirmed=chrono.most & chrono.more_often(default),
            refuted=default.every,
            of=chrono,
        ),
    }
