"""How far back does each recurrent network remember a single cue?

Networks are trained in two ways, reported separately: a new network for each lag (how far back can it *learn* to look?)
and one network trained on many lags and tested at each (how far back does it *look*?). Each cell is trained from
PyTorch's default initialisation and from the one that the literature recommends for long memory. The page also shows
how far back the gradient reached before the first update and after the last.
"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Finding, Ladder, held, listed, measure_parts, metrics, retained, trained
from farback.report.claim_scripts import Middle, Share, answered, mean_horizon, only
from farback.report.evidence import above, all_of, any_of, at_least, at_most, below, tested
from farback.report.sweep_report import reach_text

PREDICTION = (
    "Trained at one lag, no cell bridges 80 steps from PyTorch's default initialisation within 1000 updates: their "
    "gradients vanish long before (the gates of LSTM and GRU start near one half). From the recommended start "
    "(orthogonal for tanh, identity for relu, chrono for GRU and LSTM) each reaches farther than from the default, and "
    "the gated cells reach 80. A gated cell trained on short and long lags together retains the cue over 80 steps."
)
REFUTED_BY = (
    "A default-initialised cell for which half of the seeds learn lag 80; a recommended start that does not reach "
    "farther than the default of the same cell; or a gated cell, trained on lags up to 80, whose median network fails "
    "at lag 80."
)
RECOMMENDED = {"RNN tanh": "orthogonal", "RNN relu": "identity", "GRU": "chrono", "LSTM": "chrono"}
LONGEST = 80
BEYOND = 20  # steps: more than the 5-10 that a standard RNN is said to bridge


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Horizons of networks trained in both ways, and whether the prediction held."""
    fixed, mixed = scores[scores["train_lags"] == "fixed"], scores[scores["train_lags"] != "fixed"]
    learned = trained(fixed, family=["cell", "init"], within=["cell"])
    looked = retained(mixed, ladder=ladder)
    longest = fixed[fixed["trained_lag"] == LONGEST]
    horizons, kept = learned[0].frame, looked[0].frame
    headline = (
        f"Trained at one lag ({_conditions(scores)}), half of the seeds reach, recalling a cue: "
        f"{listed(horizons, ['label'])}. One network trained on lags 1-{LONGEST} and tested at each retains it over: "
        f"{listed(kept, ['label'])}."
    )
    return Analysis(
        headline,
        [*verdict(fixed, horizons, kept, learned[-1].frame), vanishing(longest)],
        [*learned, measure_parts.gradients(longest), *looked],
        metrics({"trainability": horizons, "retention": kept}, ["label"]),
    )


def verdict(fixed: pd.DataFrame, horizons: pd.DataFrame, kept: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    rows = tables.success_by_lag(fixed, ["label"]).to_dict("records")
    rate = {(row["label"], row["lag"]): Share(row["successes"], row["trials"]) for row in rows}
    reach = horizons.set_index("label")
    defaults = {cell: rate[cell, LONGEST] for cell in RECOMMENDED if (cell, LONGEST) in rate}
    text = ", ".join(f"{cell} {one}" for cell, one in defaults.items())
    lines = [held(~any_of(one.most for one in defaults.values()), f"no default cell learns lag {LONGEST}", text)]
    for cell, init in RECOMMENDED.items():
        if {cell, f"{cell}, {init}"} <= set(reach.index):
            plain, better = reach.loc[cell], reach.loc[f"{cell}, {init}"]
            farther = bool(better["estimate"] > plain["estimate"])
            p = apart(pairs, cell, init)
            found = f"{better['horizon']} against {plain['horizon']}; exact test over seeds: p = {p:.2g}"
            lines.append(held(tested(farther, p), f"{cell} reaches farther from {init} than from the default", found))
    for cell in ("GRU", "LSTM"):
        longest = rate.get((f"{cell}, chrono", LONGEST))
        if longest is not None:
            lines.append(held(longest.most, f"{cell} from chrono learns lag {LONGEST}", f"{longest} of seeds"))
        own = kept[kept["label"].isin([cell, f"{cell}, chrono"])]
        retains = all_of(at_least(mean_horizon(row), LONGEST) for row in own.to_dict("records"))
        found = listed(own, ["label"])
        lines.append(held(retains, f"{cell} trained on mixed lags retains lag {LONGEST}", found))
    return lines


def apart(pairs: pd.DataFrame, cell: str, init: str) -> float:
    """The uncorrected p-value of the exact test between a cell's default initialisation and another one."""
    two = {f"{cell}, torch", f"{cell}, {init}"}
    return float(pairs[pairs["a"].isin(two) & pairs["b"].isin(two)]["p"].item())


def vanishing(longest: pd.DataFrame) -> str:
    """Whether the gradient of every default initialisation vanishes within the longest lag."""
    reach = tables.numbers(longest, "gradient_reach")
    reach = reach[(reach["statistic"] == "reach") & (reach["moment"] == "start")].set_index("label")
    start = reach["median"]
    own = reach.loc[list(RECOMMENDED)].to_dict("records")
    short = all_of(below(Middle.in_row(row), LONGEST) for row in own)
    found = "; ".join(
        f"{name} {value:g}" if value < LONGEST else f"{name} >= {LONGEST}" for name, value in start.items()
    )
    claim = f"the gradient of every default start vanishes (to a thousandth) within {LONGEST} steps"
    return held(short, claim, f"before training it reaches: {found}")


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The findings for the claims: what a standard RNN learns to bridge, and what it retains."""
    fixed, mixed = scores[scores["train_lags"] == "fixed"], scores[scores["train_lags"] != "fixed"]
    reach = tables.trainability(fixed)
    default, orthogonal = only(reach, label="RNN tanh"), only(reach, label="RNN tanh, orthogonal")
    far, farther = mean_horizon(default), mean_horizon(orthogonal)
    kept = only(tables.retention_horizons(mixed), label="RNN tanh")
    return {
        "rnn-bridge-adam": answered(
            f"from PyTorch's default {reach_text(default)}; from the orthogonal start {reach_text(orthogonal)}",
            "steps",
            _conditions(fixed),
            confirmed=at_most(far, BEYOND) & at_most(farther, BEYOND),
            refuted=above(far, BEYOND),
            depends=at_most(far, BEYOND) & above(farther, BEYOND),
            on=f"the start: more than {BEYOND} steps are learned from the orthogonal one alone",
            reason=f"the interval of a horizon has {BEYOND} steps within it",
            of=far,
        ),
        "rnn-retention": answered(
            reach_text(kept),
            "steps",
            f"trained on lags 1-{LONGEST} together, {_conditions(mixed)}",
            confirmed=at_most(mean_horizon(kept), BEYOND),
            refuted=above(mean_horizon(kept), BEYOND),
            reason=f"the interval of the horizon has {BEYOND} steps within it",
            of=mean_horizon(kept),
        ),
    }


def _conditions(scores: pd.DataFrame) -> str:
    first = scores.iloc[0]
    training = f"Adam {first['optimizer.lr']:g}, up to {first['steps']} updates of {first['batch']}"
    return f"{first['hidden']} units, {training}, {scores['seed'].nunique()} seeds"
