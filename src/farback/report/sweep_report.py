"""The tables and figures that most experiments want, and the analysis of a config without a Python file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from farback import tables
from farback.report.analysis import Analysis, Figure, Table, three

Ladder = Sequence[tuple[str, float]]  # what partial memory scores: (what is remembered, skill)

# Columns that tell trials apart without making them different networks, or that the label already tells.
TOLD = (
    *("key", "label", "cell", "init", "task", "trained_lag", "train_lags", "bracket", "seed", "status"),
    *("depth", "bidirectional"),
)
LEVEL = 0.05  # of a test
SIZES = ("parameters", "state", "flops")  # counted, not chosen
DETAILS = ("cell.", "init.", "optimizer.beta", "optimizer.eps", "measures.")
SCORES = ("measure", "step", "lag", "statistic", "value", "measures")


def standard(scores: pd.DataFrame, ladder: Ladder = ()) -> Analysis:
    """Horizons of every network, by whichever protocols the trials allow."""
    by = groups(scores)
    parts: list[Table | Figure] = []
    sentences: list[str] = []
    horizons: dict[str, pd.DataFrame] = {}
    fixed, mixed = scores[scores["train_lags"] == "fixed"], scores[scores["train_lags"] != "fixed"]
    if len(fixed):
        parts += trained(fixed, by)
        horizons["trainability"] = parts[0].frame
        sentences.append(f"Trained at each lag, half of the seeds reach: {listed(parts[0].frame, by)}.")
    if len(mixed):
        kept = retained(mixed, by, ladder)
        parts += kept
        horizons["retention"] = kept[0].frame
        sentences.append(f"One network asked at every lag, half of the seeds reach: {listed(kept[0].frame, by)}.")
    parts += sized(scores, by)
    return Analysis(
        " ".join(sentences), ["No prediction was written down for this experiment."], parts, metrics(horizons, by)
    )


def groups(scores: pd.DataFrame) -> list[str]:
    """What makes a group of seeds: the label, and every parameter that varies and that the label does not tell."""
    told = [*TOLD, *SCORES, *SIZES]
    if "match" in scores and scores["match"].notna().all():
        told.append("hidden")  # it follows from the budget, and may differ from lag to lag
    rest = [name for name in scores.columns if name not in told and not name.startswith(DETAILS)]
    return ["label", *(name for name in rest if len(scores[name].drop_duplicates()) > 1)]


def trained(
    scores: pd.DataFrame, by: Sequence[str] = ("label",), family: Sequence[str] = (), within: Sequence[str] = ()
) -> list[Table | Figure]:
    """Horizon table, success rate against lag, forest plot, and comparisons, of trials trained at one lag each.

    Args:
        scores: the tidy frame of those trials.
        by: what makes a group of seeds.
        family: the columns that name the groups to compare; without it, `by`.
        within: of these columns both groups of a pair agree on: a smaller family of tests has more power.
    """
    from farback import plots  # matplotlib takes a second to import

    horizons = tables.trainability(scores, by)
    success = tables.success_by_lag(scores, by)
    seeds = tables.seed_horizons(scores, by)
    pairs = tables.comparisons(tables.seed_horizons(scores, family or by), within)
    parts: list[Table | Figure] = [
        Table(
            "trainability",
            "Trained at each lag: how far back each network learns to look",
            horizons,
            shown(horizons, by, success),
        ),
        Figure(
            "success",
            "Success rate against lag",
            plots.success(success),
            success,
            "Share of seeds that learn to recall the cue, against the lag they were trained at, one line a network.",
        ),
        Figure(
            "trainability_forest",
            "Horizons, with intervals over seeds",
            plots.forest(horizons, seeds),
            horizons,
            "The lag that each network learns to bridge, with 95 % intervals; arrows lie beyond the lags tried.",
        ),
        Table("trainability_seeds", "The same, seed by seed", seeds, by_seed(seeds, by)),
    ]
    if len(pairs):
        caption = "Which differ: exact tests on the seeds' horizons, Holm-corrected"
        least = len(pairs) * 2 / math.comb(pairs["seeds_a"].max() + pairs["seeds_b"].max(), pairs["seeds_a"].max())
        if least > LEVEL:
            caption += f"; {len(pairs)} pairs of so few seeds cannot come below {min(least, 1.0):.2g}"
        parts.append(Table("comparisons", caption, pairs, compared(pairs)))
    return parts


def retained(scores: pd.DataFrame, by: Sequence[str] = ("label",), ladder: Ladder = ()) -> list[Table | Figure]:
    """Horizon table and retention curves of networks trained on mixed lags and asked at each."""
    from farback import plots

    horizons = tables.retention_horizons(scores, by)
    curves = tables.retention_curves(scores, by)
    return [
        Table(
            "retention_horizons",
            "One network, asked at every lag: how far back it retains",
            horizons,
            shown(horizons, by),
        ),
        Figure(
            "retention",
            "Retention curves",
            plots.retention(curves, ladder),
            curves,
            "Skill against test lag: a thin line for each seed, the median on top; 0 is chance, 1 is perfect.",
        ),
    ]


def sized(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> list[Table]:
    """The table of sizes; nothing where a trial was recorded before its size was."""
    if not set(SIZES) <= set(scores.columns) or scores[list(SIZES)].isna().any().any():
        return []
    sizes = tables.sizes(scores, by)
    rows = []
    for _, own in sizes.groupby(list(by), sort=False, dropna=False):
        counts = {name: _between(own[name]) for name in ("hidden", *SIZES)}
        words = {"parameters": "parameters", "state": "numbers of state", "flops": "FLOPs a step"}
        first = {name_of(name): own[name].iloc[0] for name in by}
        rows.append({**first, **{words.get(name, name): text for name, text in counts.items()}})
    return [Table("sizes", "How large the networks are", sizes, pd.DataFrame(rows))]


def _between(values: pd.Series[int]) -> str:
    """One number, or the ends of a range: a task's inputs and outputs are part of a network's size."""
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def shown(horizons: pd.DataFrame, by: Sequence[str], success: pd.DataFrame | None = None) -> pd.DataFrame:
    """A horizon table for people: what half of the seeds reach, the interval over seeds, and successes at each lag."""
    rows = []
    for row in horizons.to_dict("records"):
        cells = {name_of(name): row[name] for name in by}
        cells["horizon"] = row["horizon"]
        cells["mean, 95 % over seeds"] = mean_text(row)
        if success is not None:
            own = success
            cells |= {f"lag {lag}": "" for lag in sorted(set(success["lag"]))}
            for name in by:
                own = own[own[name] == row[name]]
            for lag, passed, trials in zip(own["lag"], own["successes"], own["trials"], strict=True):
                cells[f"lag {lag}"] = f"{passed}/{trials}"
        else:
            cells["seeds"] = str(row["seeds"])
        if horizons["nonmonotone"].any():
            cells["not monotone"] = f"{row['nonmonotone']:.0%} of seeds"
        if horizons["diverged"].any():
            cells["diverged"] = str(row["diverged"])
        rows.append(cells)
    return pd.DataFrame(rows).fillna("")


def by_seed(seeds: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Each seed's horizon: a row for each network, a column for each seed."""
    wide = seeds.pivot(index=list(by), columns="seed", values="horizon").reset_index()
    return wide.rename(columns={name: name_of(name) if name in by else f"seed {name}" for name in wide.columns})


def mean_text(row: Mapping[Any, Any]) -> str:
    """The mean horizon with its interval; what seeds beyond the lags tried hold at the last of them says so."""
    low = three(row["low"]) if row["low"] > 0 else f"< {row['smallest_lag']:g}"
    high = three(row["high"]) if math.isfinite(row["high"]) else f"> {row['largest_lag']:g}"
    everywhere = math.isclose(row["estimate"], row["largest_lag"])
    if everywhere or row["below"] == row["seeds"]:  # nothing to average: all lie beyond the lags tried
        return str(row["horizon"])
    bound = {(True, False): "<= ", (False, True): ">= "}.get((row["below"] > 0, row["beyond"] > 0), "")
    return f"{bound}{three(row['estimate'])} ({low} to {high})"


def reach_text(row: Mapping[Any, Any]) -> str:
    """What half of the seeds reach, with the mean where it says more: "[20, 40) steps, mean 32.5 (15 to 70)"."""
    mean = mean_text(row)
    return f"{row['horizon']} steps" + (f", mean {mean}" if mean != row["horizon"] else "")


def compared(pairs: pd.DataFrame) -> pd.DataFrame:
    """The comparisons for people, the clearest first."""
    ordered = pairs.sort_values(["p_holm", "p", "a", "b"], kind="stable")
    return pd.DataFrame(
        {
            "a": ordered["a"],
            "b": ordered["b"],
            "horizon of a": ordered["horizon_a"],
            "horizon of b": ordered["horizon_b"],
            "a gets farther": [f"{value:.0%}" for value in ordered["improvement"]],
            "p": [f"{value:.3g}" for value in ordered["p"]],
            "p, Holm": [f"{value:.3g}" for value in ordered["p_holm"]],
        }
    )


def listed(horizons: pd.DataFrame, by: Sequence[str]) -> str:
    """A horizon table as a phrase: "LSTM, chrono >= 160; GRU [20, 40)"."""
    names = horizons[list(by)].astype(str).agg(", ".join, axis=1)
    return "; ".join(f"{name} {horizon}" for name, horizon in zip(names, horizons["horizon"], strict=True))


def metrics(horizons: Mapping[str, pd.DataFrame], by: Sequence[str]) -> dict[str, float]:
    """Aggregates for the tracker: the mean horizon of each group, from a horizon table for each protocol."""
    return {
        f"{protocol}/{' '.join(str(row[name]) for name in by)}/mean": float(row["estimate"])
        for protocol, table in horizons.items()
        for row in table.to_dict("records")
    }


def name_of(column: str) -> str:
    """A column's name for people."""
    return {"label": "network"}.get(column, column)
