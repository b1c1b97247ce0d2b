"""Up to which multiple of its training lag does each network work, and does it work at shorter lags?

Networks are trained at one lag, or on a mix of lags up to 40, and tested at lags from 1 to 320.
"""

import pandas as pd

from farback.report import Analysis, Ladder, above, all_of, held, measure_parts
from farback.report.claim_scripts import Share

PLACE = 8  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Known beforehand: default tanh networks trained at lag 10 are timers (docs/log.md), and from mixed lags up to 80 "
    "every network retains 320 (`demo`). Predicted: (1) of the networks trained at one lag of 20 or 40, more than half "
    "of those that learned it fail at some shorter lag, in every cell: nothing asked them to answer early. (2) Trained "
    "at one lag, the gated cells from chrono still pass twice their training lag, counted from it; the orthogonal tanh "
    "network does not. (3) Trained on mixed lags, every cell works at every shorter lag and at least 4 times farther. "
    "(4) It matters little whether the mix is uniform or log-uniform: the median factors differ by no more than one "
    "test lag."
)
REFUTED_BY = (
    "A cell of which half of the networks that learned lag 20 or 40 also work at every shorter lag; a chrono cell that "
    "fails twice beyond its training lag, or an orthogonal tanh network that passes; a mixed network with a factor "
    "below 4; mixes whose factors differ by more than a doubling."
)
LONG = ("20", "40")


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The matrix of training and test lags, and factors of extrapolation."""
    parts = measure_parts.lengths(scores)
    factors = parts[0].frame
    mixed = factors[~factors["trained"].str.isdigit()]
    fixed = factors[factors["trained"].isin(LONG)]
    timers, learned = int(fixed["timers"].sum()), int(fixed["learned"].sum())
    headline = (
        f"Of {learned} networks that learned one lag of {' or '.join(LONG)}, {timers} fail at a shorter one; trained "
        "on mixed lags up to 40, networks retain, by the median of seeds: "
        + "; ".join(f"{row['label']} ({row['trained']}) {row['horizon']}" for row in mixed.to_dict("records"))
        + "."
    )
    metrics = {f"factor/{row['label']} {row['trained']}": float(row["factor"]) for row in factors.to_dict("records")}
    return Analysis(headline, verdict(factors), parts, metrics)


def verdict(factors: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    fixed = factors[factors["trained"].isin(LONG)].groupby("label")[["timers", "learned"]].sum()
    able = fixed[fixed["learned"] > 0].to_dict("records")
    timers = all_of(above(Share(int(row["timers"]), int(row["learned"])), 0.5) for row in able)
    found = ", ".join(f"{name}: {row['timers']} of {row['learned']}" for name, row in fixed.iterrows())
    lines = [held(timers, "trained at one lag of 20 or 40, most fail at a shorter one, in every cell", found)]
    onward = factors[factors["trained"].isin(LONG)].groupby("label")["onward"].min()
    gated = onward[[name for name in onward.index if name.endswith("chrono")]]
    lines.append(held(bool((gated >= 2).all()), "chrono cells pass twice their training lag", _listed(gated)))
    tanh = onward[[name for name in onward.index if name.startswith("RNN tanh")]]
    lines.append(held(bool((tanh < 2).all()), "the orthogonal tanh network does not", _listed(tanh)))
    mixed = factors[~factors["trained"].str.isdigit()]
    short = mixed[mixed["factor"] < 4]
    found = ", ".join(f"{row['label']}, {row['trained']}: {row['factor']:g}" for row in mixed.to_dict("records"))
    lines.append(held(short.empty, "from mixed lags every cell works at least 4 times farther", found))
    wide = mixed.pivot(index="label", columns="trained", values="factor")
    ratio = wide.max(axis=1) / wide.min(axis=1).clip(lower=1e-9)
    lines.append(held(bool((ratio <= 2).all()), "uniform and log-uniform mixes reach alike", _listed(ratio, "ratio ")))
    return lines


def _listed(values: "pd.Series[float]", word: str = "") -> str:
    return ", ".join(f"{name}: {word}{value:.3g}" for name, value in values.items())
