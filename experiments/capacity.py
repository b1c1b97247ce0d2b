"""How does linear memory depend on width, input scale and spectral radius?

Nothing is trained: a stream of independent numbers drives networks at their initial weights, and a linear readout of
the state estimates the input of k steps before. The sum of R² over the lags k is the memory capacity; it is at most N
for a network of N units.
"""

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Ladder, Table, above, all_of, at_most, below, held, measure_parts
from farback.report.claim_scripts import Middle

PLACE = 6  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Written before any memory function of a network was measured here. (1) No total exceeds the number of units by "
    "more than chance. (2) The total grows with the width, but less than in proportion: 64 units hold more than 8, and "
    "a smaller share of their number. (3) At a small input the total grows with the spectral radius up to 0.95. (4) "
    "Beyond radius 1 the network makes noise of its own: at a small input its total falls below half of that at 0.95, "
    "and a large input, which quiets it, brings some back. (5) At radius 0.95 a larger input saturates the units: the "
    "total at scale 10 is below half of that at 0.1. (6) Of the eight usual starts the orthogonal tanh network holds "
    "most; identity-relu, which adds everything up, holds less than 2."
)
REFUTED_BY = (
    "A total above the number of units plus 1; 64 units with a larger share than 8; a radius of 0.5 that holds more "
    "than 0.95 at scale 0.1; a radius of 1.5 that holds half as much at scale 0.01, or no more at scale 10 than at "
    "0.01; a start other than orthogonal with the most, or an identity start with a total of 2."
)
SETTING = ["hidden", "radius", "scale"]
TOTAL = "capacity (sum of R² over lags 0 to 100)"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Memory capacity by width, radius and input scale, and the memory functions of the usual initialisations."""
    tuned = scores[scores["init.name"] == "scaled"]
    tuned = tuned.assign(radius=tuned["init.radius"].astype(float), scale=_scale(tuned))
    usual = scores[scores["init.name"] != "scaled"]
    totals = _totals(tuned, SETTING)
    starts = _totals(usual, ["label"])
    capacity = tables.numbers(usual, "information_capacity")
    parts: list[Table | Figure] = [
        Table("starts", "Memory of the usual starts, 32 units", starts, _shown(starts, usual, capacity)),
        measure_parts.memory(usual),
        Figure(
            "totals",
            "Memory capacity against the spectral radius, by width and input scale",
            plots.trend(
                totals,
                "radius",
                "hidden",
                "scale",
                title="Memory capacity against the spectral radius",
                value=TOTAL,
                setting="spectral radius",
            ),
            totals,
            "The total against the spectral radius, one line a width, one panel an input scale.",
        ),
    ]
    widest = totals[totals["hidden"] == totals["hidden"].max()]
    best = widest.loc[widest["median"].idxmax()]
    headline = (
        f"With uniform random weights, {best['hidden']:g} tanh units held at most {best['median']:.1f} inputs (radius "
        f"{best['radius']:g}, scale {best['scale']:g}); of the usual starts with 32 units: "
        + "; ".join(f"{name} {total:.1f}" for name, total in zip(starts["label"], starts["median"], strict=True))
        + "."
    )
    metrics = {f"total/{name}": float(value) for name, value in zip(starts["label"], starts["median"], strict=True)}
    return Analysis(headline, verdict(totals, starts), parts, metrics)


def verdict(totals: pd.DataFrame, starts: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    at = {tuple(row[name] for name in SETTING): Middle.in_row(row) for row in totals.to_dict("records")}
    over = float((totals["median"] - totals["hidden"]).max())
    within = all_of(at_most(total, units + 1) for (units, *_), total in at.items())
    lines = [held(within, "no total exceeds the number of units", f"at most {over:+.2f} beyond it")]
    few, many = at[8, 0.95, 0.1], at[64, 0.95, 0.1]
    lines.append(
        held(
            above(many, few) & below(many.times(1 / 8), few),
            "64 units hold more than 8, and a smaller share of their number",
            f"{many} against {few} at radius 0.95, scale 0.1",
        )
    )
    short, long = at[64, 0.5, 0.1], at[64, 0.95, 0.1]
    lines.append(held(above(long, short), "radius 0.95 holds more than 0.5", f"{long} against {short}"))
    wild, edge, quieted = at[64, 1.5, 0.01], at[64, 0.95, 0.01], at[64, 1.5, 10.0]
    found = f"{wild} against {edge} at scale 0.01"
    lines.append(held(below(wild, edge.times(0.5)), "radius 1.5 holds less than half of what 0.95 does", found))
    lines.append(held(above(quieted, wild), "a large input brings some of it back", f"{quieted} at scale 10"))
    loud, soft = at[64, 0.95, 10.0], at[64, 0.95, 0.1]
    lines.append(held(below(loud, soft.times(0.5)), "a large input saturates radius 0.95", f"{loud} against {soft}"))
    total = starts.set_index("label")["median"]
    own = {row["label"]: Middle.in_row(row) for row in starts.to_dict("records")}
    best = own.get("RNN tanh, orthogonal")
    most = best is not None and all_of(above(best, one) for one in own.values() if one is not best)
    lines.append(held(most, "the orthogonal start holds most", _listed(total)))
    adding = own.get("RNN relu, identity", Middle(float("nan"), float("nan"), float("nan")))
    lines.append(held(below(adding, 2), "identity-relu holds less than 2", str(adding)))
    return lines


def _scale(scores: pd.DataFrame) -> pd.Series:
    """The input scale; the frame has no value where it is the default, 1."""
    column = "measures.memory_function.scale"
    return scores[column].astype(float).fillna(1.0) if column in scores else pd.Series(1.0, scores.index)


def _totals(scores: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    table = tables.numbers(scores, "memory_function", by)
    return table[table["statistic"] == "total"].drop(columns=["moment", "statistic"]).reset_index(drop=True)


def _shown(starts: pd.DataFrame, usual: pd.DataFrame, capacity: pd.DataFrame) -> pd.DataFrame:
    memory = tables.numbers(usual, "memory_function")
    half = memory[memory["statistic"] == "half"].set_index("label")["median"]
    degrees = capacity.pivot(index="label", columns="statistic", values="median")
    rows = []
    for row in starts.to_dict("records"):
        name = row["label"]
        rows.append(
            {
                "network": name,
                "total (interval)": f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
                "half at lag": f"{half[name]:g}" if half[name] >= 0 else "none",
                **{
                    f"degree {degree}": f"{degrees.loc[name, f'degree_{degree}_total']:.2f}"
                    for degree in (1, 2, 3)
                    if f"degree_{degree}_total" in degrees and name in degrees.index
                },
            }
        )
    return pd.DataFrame(rows).fillna("")


def _listed(total: "pd.Series[float]") -> str:
    return ", ".join(f"{name}: {value:.1f}" for name, value in total.items())
