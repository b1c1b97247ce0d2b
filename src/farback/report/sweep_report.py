"""Tables and figures that most experiments need, and the standard analysis of a sweep without a Python file.

Functions import `plots` when they run, because importing matplotlib takes a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from farback import tables
from farback.records.setting_text import group_text
from farback.report.analysis import Analysis, Figure, Table, three
from farback.report.group_columns import SIZES, groups

Ladder = Sequence[tuple[str, float]]  # the skills of partial memories: (what is remembered, skill)

LEVEL = 0.05  # of significance
NO_PREDICTION = "No prediction was written down for this experiment."


def standard(scores: pd.DataFrame, ladder: Ladder = ()) -> Analysis:
    """The horizons of every network: trained at each lag, tested at every lag, or both, depending on the trials."""
    by = groups(scores)
    parts: list[Table | Figure] = []
    sentences: list[str] = []
    horizons: dict[str, pd.DataFrame] = {}
    fixed = scores["train_lags"] == "fixed"
    if fixed.any():
        parts += trained(scores[fixed], by)
        horizons["trainability"] = parts[0].frame
        sentences.append(f"Trained at each lag, half of the seeds reach: {listed(parts[0].frame, by)}.")
    if not fixed.all():
        retention = retained(scores[~fixed], by, ladder)
        parts += retention
        horizons["retention"] = retention[0].frame
        sentences.append(f"One network tested at every lag, half of the seeds reach: {listed(retention[0].frame, by)}.")
    parts += sized(scores, by)
    return Analysis(" ".join(sentences), [NO_PREDICTION], parts, metrics(horizons, by))


def trained(
    scores: pd.DataFrame, by: Sequence[str] = ("label",), family: Sequence[str] = (), within: Sequence[str] = ()
) -> list[Table | Figure]:
    """Horizon table, success rate against lag, forest plot, and comparisons, of trials trained at one lag each.

    Args:
        family: the columns that name the groups to compare; by default `by`.
        within: compare only groups that agree in these columns; fewer tests have more power.
    """
    from farback import plots

    horizons = tables.trainability(scores, by)
    success = tables.success_by_lag(scores, by)
    seeds = tables.seed_horizons(scores, by)
    pairs = tables.comparisons(tables.seed_horizons(scores, family or by), within)
    caption = "Trained at each lag: how far back each network learns to look"
    success_alt = "Share of seeds that learn to recall the cue, against the training lag, one line a network."
    forest_alt = "The lag that each network learns to bridge, with 95 % intervals; arrows lie beyond the lags tried."
    forest, forest_caption = plots.forest(horizons, seeds), "Horizons, with intervals over seeds"
    parts: list[Table | Figure] = [
        Table("trainability", caption, horizons, shown(horizons, by, success)),
        Figure("success", "Success rate against lag", plots.success(success), success, success_alt),
        Figure("trainability_forest", forest_caption, forest, horizons, forest_alt),
        Table("trainability_seeds", "The same, seed by seed", seeds, by_seed(seeds, by)),
    ]
    if len(pairs):
        caption = "Which differ: exact tests on the seeds' horizons, Holm-corrected"
        smallest = len(pairs) * 2 / math.comb(pairs["seeds_a"].max() + pairs["seeds_b"].max(), pairs["seeds_a"].max())
        if smallest > LEVEL:
            caption += f"; {len(pairs)} pairs of so few seeds cannot come below {min(smallest, 1.0):.2g}"
        parts.append(Table("comparisons", caption, pairs, compared(pairs)))
    return parts


def retained(scores: pd.DataFrame, by: Sequence[str] = ("label",), ladder: Ladder = ()) -> list[Table | Figure]:
    """Horizon table and retention curves of networks trained on mixed lags and tested at each."""
    from farback import plots

    horizons = tables.retention_horizons(scores, by)
    curves = tables.retention_curves(scores, by)
    caption = "One network, tested at every lag: how far back it retains"
    alt = "Skill against test lag: a thin line for each seed, the median on top; 0 is chance, 1 is perfect."
    return [
        Table("retention_horizons", caption, horizons, shown(horizons, by)),
        Figure("retention", "Retention curves", plots.retention(curves, ladder), curves, alt),
    ]


def sized(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> list[Table]:
    """A list with the table of network sizes; it is empty if a trial was recorded without its size."""
    if not set(SIZES) <= set(scores.columns) or scores[list(SIZES)].isna().any().any():
        return []
    sizes = tables.sizes(scores, by)
    rows = []
    for _, own in sizes.groupby(list(by), sort=False, dropna=False):
        first = {name_of(name): own[name].iloc[0] for name in by}
        rows.append({**first, **{SIZES.get(name, name): _range(own[name]) for name in ("hidden", *SIZES)}})
    return [Table("sizes", "How large the networks are", sizes, pd.DataFrame(rows))]


def _range(values: pd.Series[int]) -> str:
    """One number, or "low to high": a network's size depends on the inputs and outputs of its task."""
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def shown(horizons: pd.DataFrame, by: Sequence[str], success: pd.DataFrame | None = None) -> pd.DataFrame:
    """A horizon table as text: the horizon of half of the seeds, the mean with its interval, successes at each lag."""
    lags = [] if success is None else sorted(set(success["lag"]))
    rows = []
    for row in horizons.to_dict("records"):
        cells = {name_of(name): "none" if pd.isna(row[name]) else row[name] for name in by}
        cells |= {"horizon": row["horizon"], "mean, 95 % over seeds": mean_text(row)}
        cells |= {f"lag {lag}": "" for lag in lags}
        if success is None:
            cells["seeds"] = str(row["seeds"])
        else:
            own = rows_with(success, {name: row[name] for name in by})
            for lag, passed, trials in zip(own["lag"], own["successes"], own["trials"], strict=True):
                cells[f"lag {lag}"] = f"{passed}/{trials}"
        if horizons["nonmonotone"].any():
            cells["not monotone"] = f"{row['nonmonotone']:.0%} of seeds"
        if horizons["diverged"].any():
            cells["diverged"] = str(row["diverged"])
        rows.append(cells)
    return pd.DataFrame(rows).fillna("")


def rows_with(frame: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a frame that have these values; a missing value equals another missing value."""
    for name, value in values.items():
        frame = frame[frame[name].isna() if pd.isna(value) else frame[name] == value]
    return frame


def by_seed(seeds: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Each seed's horizon: a row for each network, a column for each seed."""
    wide = seeds.pivot(index=list(by), columns="seed", values="horizon").reset_index()
    return wide.rename(columns={name: name_of(name) if name in by else f"seed {name}" for name in wide.columns})


def mean_text(row: Mapping[Any, Any]) -> str:
    """The mean horizon with its interval; `>=` and `<=` mark a mean that includes seeds beyond the lags tried."""
    low = three(row["low"]) if row["low"] > 0 else f"< {row['smallest_lag']:g}"
    high = three(row["high"]) if math.isfinite(row["high"]) else f"> {row['largest_lag']:g}"
    all_pass = math.isclose(row["estimate"], row["largest_lag"])
    if all_pass or row["below"] == row["seeds"]:  # no mean: every seed lies beyond the lags tried
        return str(row["horizon"])
    bound = {(True, False): "<= ", (False, True): ">= "}.get((row["below"] > 0, row["beyond"] > 0), "")
    return f"{bound}{three(row['estimate'])} ({low} to {high})"


def reach_text(row: Mapping[Any, Any]) -> str:
    """The horizon of half of the seeds, and the mean if it differs: "[20, 40) steps, mean 32.5 (15 to 70)"."""
    mean = mean_text(row)
    return f"{row['horizon']} steps" + (f", mean {mean}" if mean != row["horizon"] else "")


def compared(pairs: pd.DataFrame) -> pd.DataFrame:
    """The comparisons as text, the smallest p first."""
    ordered = pairs.sort_values(["p_holm", "p", "a", "b"], kind="stable")
    return pd.DataFrame(
        {
            "a": ordered["a"],
            "b": ordered["b"],
            "horizon of a": ordered["horizon_a"],
            "horizon of b": ordered["horizon_b"],
            "a gets farther": ordered["improvement"].map("{:.0%}".format),
            "p": ordered["p"].map("{:.3g}".format),
            "p, Holm": ordered["p_holm"].map("{:.3g}".format),
        }
    )


def listed(horizons: pd.DataFrame, by: Sequence[str]) -> str:
    """A horizon table as a phrase: "LSTM, chrono >= 160; GRU [20, 40)"."""
    rows = horizons.to_dict("records")
    return "; ".join(f"{group_text({name: row[name] for name in by})} {row['horizon']}" for row in rows)


def metrics(horizons: Mapping[str, pd.DataFrame], by: Sequence[str]) -> dict[str, float]:
    """Metrics for MLflow: the mean horizon of each group, from horizon tables by name ("trainability", "retention")."""
    return {
        f"{protocol}/{group_text({name: row[name] for name in by})}/mean": float(row["estimate"])
        for protocol, table in horizons.items()
        for row in table.to_dict("records")
    }


def name_of(column: str) -> str:
    """The heading of a column on the page."""
    return "network" if column == "label" else column
