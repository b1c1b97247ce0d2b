"""How far back does each recurrent network remember a single cue?

Networks are trained in two ways, reported separately: a new network for each lag (how far back can it *learn* to look?)
and one network trained on many lags and tested at each (how far back does it *look*?). Each cell is trained from
PyTorch's default initialisation and from the one that the literature recommends for long memory. The page also shows
how far back the gradient reached before the first update and after the last.
"""

import pandas as pd

from farback import tables
from farback.report import (
    Analysis,
    Figure,
    Finding,
    Ladder,
    Table,
    conditions,
    held,
    listed,
    measure_parts,
    metrics,
    retained,
    trained,
)
from farback.report.claim_scripts import Middle, answered, mean_horizon, only
from farback.report.evidence import Evidence, above, all_of, at_least, at_most, below, tested
from farback.report.sweep_report import learned_sentence, probability_text, reach_text, summarised

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
    longest = fixed[fixed["trained_lag"] == fixed.groupby("label")["trained_lag"].transform("max")]
    horizons, kept = learned[0].frame, looked[0].frame
    headline = (
        f"{learned_sentence(fixed, horizons, ['label'])} One network trained on lags 1-{LONGEST} and tested at each "
        f"retains the cue over: {summarised(kept, ['label'])}."
    )
    with_gradient = (longest["measure"] == "gradient_reach").any()
    gradients = [measure_parts.gradients(longest)] if with_gradient else []
    lines = verdict(horizons, kept, frame_of(learned, "comparisons"))
    return Analysis(
        headline,
        [*lines, *([vanishing(longest)] if with_gradient else [])],
        [*learned, *gradients, *looked],
        metrics({"trainability": horizons, "retention": kept}, ["label"]),
    )


def frame_of(parts: list[Table | Figure], name: str) -> pd.DataFrame:
    """The numbers of a part of the page."""
    return next(part.frame for part in parts if part.name == name)


def verdict(horizons: pd.DataFrame, kept: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    reach = {row["label"]: row for row in horizons.to_dict("records")}
    defaults = {cell: reach[cell] for cell in RECOMMENDED if cell in reach}
    text = "; ".join(f"{cell} {row['horizon']}" for cell, row in defaults.items())
    none = all_of(below(mean_horizon(row), LONGEST) for row in defaults.values())
    lines = [held(none, f"no default cell learns lag {LONGEST}", text)]
    for cell, init in RECOMMENDED.items():
        if {cell, f"{cell}, {init}"} <= set(reach):
            found, text = difference(pairs, cell, init)
            text = f"{reach[f'{cell}, {init}']['horizon']} against {reach[cell]['horizon']}; {text}"
            lines.append(held(found, f"{cell} reaches farther from {init} than from the default", text))
    for cell in ("GRU", "LSTM"):
        chrono = reach.get(f"{cell}, chrono")
        if chrono is not None:
            learns = at_least(mean_horizon(chrono), LONGEST)
            lines.append(held(learns, f"{cell} from chrono learns lag {LONGEST}", chrono["horizon"]))
        own = kept[kept["label"].isin([cell, f"{cell}, chrono"])]
        retains = all_of(at_least(mean_horizon(row), LONGEST) for row in own.to_dict("records"))
        lines.append(held(retains, f"{cell} trained on mixed lags retains lag {LONGEST}", listed(own, ["label"])))
    return lines


def difference(pairs: pd.DataFrame, cell: str, init: str) -> tuple[Evidence, str]:
    """Whether an initialisation takes a cell farther than the default one, by the exact test or else the posterior."""
    better = f"{cell}, {init}"
    (row,) = pairs[pairs["a"].isin([cell, better]) & pairs["b"].isin([cell, better])].to_dict("records")
    probability = row["farther"] if row["a"] == better else 1 - row["farther"]
    text = f"probability {probability_text(probability)}"
    if pd.notna(row["p"]):
        return tested(probability > 0.5, row["p"]), f"{text}, exact test: p = {row['p']:.2g}"
    return tested(probability > 0.5, 2 * min(probability, 1 - probability)), text


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
            conditions(fixed),
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
            f"trained on lags 1-{LONGEST} together, {conditions(mixed)}",
            confirmed=at_most(mean_horizon(kept), BEYOND),
            refuted=above(mean_horizon(kept), BEYOND),
            reason=f"the interval of the horizon has {BEYOND} steps within it",
            of=mean_horizon(kept),
        ),
    }
