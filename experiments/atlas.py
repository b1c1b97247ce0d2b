"""A map of how far back cells learn to look: by number of updates, size of the state, and parameters."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from farback import plots, tables
from farback.plots.findings import finding
from farback.report import Analysis, Figure, Ladder, Table, above, below, conditions, held
from farback.report.claim_scripts import Middle, Share, mean_horizon
from farback.report.diagnosis_parts import diagnosed, mean_shares
from farback.report.evidence import Evidence, all_of, at_least
from farback.report.sweep_report import tuning
from farback.tables.horizon_by_budget import LAW, SEEN
from farback.tables.outcomes import judged

PLACE = 14  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Known beforehand: the pages `demo`, `horizon`, `cells` and `why` (default LSTM and GRU learn recall up to 10 to "
    "30 steps, from chrono much farther; LRU is among the best of equal size), and trainings of one seed of most of "
    "these networks at lag 20, with 60 to 120 updates, to see what they cost. Predicted: (1) more updates help less "
    "than in proportion: the median power of the lag in the law of learning time is above 1. (2) What the first "
    "quarter of the updates shows predicts the horizon after all of them: in more than 85 % of the networks the two "
    "agree within their intervals. (3) A state four times as large makes the horizon less than twice as long in more "
    "than half of the networks, because one of four symbols needs two bits. (4) The number of parameters says little:"
    " Spearman's correlation of horizon and parameters over networks with the larger state is below 0.4. (5) LRU, S5,"
    " LinOSS and D-LinOSS reach lag 64 with the larger state, and PyTorch's LSTM and GRU do not. (6) Of the trainings"
    " of gated networks that fail, more than half were not learnable at their lag: the gradient was noise, and is."
)
REFUTED_BY = (
    "A median power of 1 or below; 85 % of the predictions or fewer in agreement; half or more of the "
    "networks with a horizon twice as long; a correlation of 0.4 or more; a linear recurrence of the four below 64, or "
    "a default LSTM or GRU at 64 or above; half or fewer of the failing gated trainings not learnable."
)
BY = ["label", "match"]
SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the updates: budgets for which horizons are given
MANY = 0.5  # share of the failing trainings from which "not learnable" is the cause that is named
FAMILIES = {
    "without gates": ("elman", "indrnn", "cornn"),
    "gated": ("lstm", "gru", "janet", "slstm"),
    "bistable, and time constants": ("brc", "nbrc", "bmru", "lem"),
    "oscillators and diagonal": ("lru", "s5", "linoss", "d_linoss"),
    "gated linear": ("rg_lru", "mingru"),
    "matrix state": ("gla", "retnet", "deltanet", "gated_deltanet", "rwkv7", "mlstm"),
}
CORRELATED = 0.4
WIDTH = 7.0  # inches of the map's title
OPEN = Evidence(False, False)  # of no networks
LONG, FAR_CELLS, DEFAULTS = 64, ("LRU", "S5", "LinOSS", "D-LinOSS"), ("LSTM", "GRU")


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The atlas: a row for each network, size and budget; its figures; and whether the predictions held."""
    why = diagnosed(scores, BY)
    rows = atlas(scores, why.frame)
    own = rows[rows["updates"] == rows["trained_updates"]]
    laws, forecasts = tables.learning_time(scores, BY), tables.horizon_forecasts(scores, by=BY)
    lines = verdict(own, laws, forecasts, why.frame)
    best, worst = ends(own)
    headline = (
        f"Half of fresh trainings learn the longest lags of {own['label'].nunique()} networks with {best} steps, and "
        f"the shortest with {worst} steps. Conditions: {conditions(scores)}."
    )
    parts: list[Table | Figure] = [
        map_figure(own),
        Table(
            "atlas",
            "Horizons by updates and size of the state, and why trainings fail",
            rows,
            shown(rows),
            parquet=True,
        ),
        budget_figure(rows, laws),
        size_figure(own, "state", "numbers of state"),
        size_figure(own, "parameters", "parameters"),
        forecast_table(forecasts),
        why,
        *tuning(scores, BY),
    ]
    return Analysis(headline, lines, parts, {"networks": float(len(own))})


def atlas(scores: pd.DataFrame, causes: pd.DataFrame) -> pd.DataFrame:
    """A row for each network, size of the state and number of updates; the columns of the Parquet file."""
    trials = judged(scores).drop_duplicates("key")
    steps = int(trials["steps"].max())
    sizes = trials[[*BY, "cell.name", "cell", "init", "hidden", "state", "parameters", "optimizer.lr"]].drop_duplicates(
        BY
    )
    known = {family: name for name, own in FAMILIES.items() for family in own}
    sizes = sizes.assign(family=sizes.pop("cell.name").map(known).fillna("others"))
    found = tables.horizon_by_budget(scores, [round(steps * share) for share in SHARES], BY)
    found = found.rename(columns={"budget": "updates"}).assign(trained_updates=steps)
    failing = pd.DataFrame([{**dict(zip(BY, group, strict=True)), **cause(own)} for group, own in causes.groupby(BY)])
    whole = sizes.merge(found, on=BY).merge(failing, on=BY, how="left")
    order = {label: place for place, label in enumerate(ranked(whole))}
    whole = whole.assign(place=whole["label"].map(order)).sort_values(["place", "state", "updates"], kind="stable")
    first = ["cell", "init", "label", "family", "match", "hidden", "state", "parameters", "learning_rate"]
    whole = whole.drop(columns="place").rename(columns={"optimizer.lr": "learning_rate"}).reset_index(drop=True)
    return whole[[*first, *(name for name in whole.columns if name not in first)]]


def ranked(rows: pd.DataFrame) -> list[str]:
    """The networks by the horizon with their larger state after all updates, the longest first."""
    own = rows[rows["updates"] == rows["trained_updates"]].sort_values("state", kind="stable").groupby("label").last()
    own = own.assign(lag=own["estimate"].clip(upper=own["largest_lag"]))
    return list(own.sort_values(["lag", "low"], ascending=False, kind="stable").index)


def cause(own: pd.DataFrame) -> dict[str, Any]:
    """Why the trainings of a network fail: how the cue is lost most often, and whether most were not learnable."""
    fails, noise = int(own["fails"].sum()), int(own["not_learnable"].sum())
    shares = mean_shares(own)
    steps = own.loc[own["fails"] > 0, "step"].dropna()
    lost = "" if shares.empty else str(shares.idxmax()).replace("_", " ")
    return {
        "failed": fails,
        "not_learnable": noise,
        "cause": "none fails" if not fails else "not learnable" if noise >= MANY * fails else lost or "unknown",
        "lost_by": lost,
        "lost_share": math.nan if shares.empty else float(shares.max()),
        "lost_after": float(steps.median()) if len(steps) else math.nan,
    }


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The table of the page: a row for each network and size, a column for each number of updates."""
    texts = []
    for _, own in rows.groupby(["label", "state"], sort=False):
        first = own.iloc[0]
        cells = {"network": first["label"], "state": str(first["state"]), "parameters": str(first["parameters"])}
        cells["rate"] = f"{first['learning_rate']:g}"
        cells |= {
            f"{row.updates} updates": f"{row.horizon}{' (law)' * (row.source == LAW)}" for row in own.itertuples()
        }
        seen = own[own["source"] == SEEN].iloc[-1]
        cells["curve fits"] = "yes" if seen["fits"] else "no"
        texts.append(cells | {"trainings fail because": why_text(first)})
    return pd.DataFrame(texts).fillna("")


def why_text(row: Any) -> str:
    """The cause of failure, with how the cue is lost where the lag was not learnable."""
    if row["cause"] == "not learnable" and row["lost_by"]:
        return f"not learnable; the cue is lost: {row['lost_by']}"
    return str(row["cause"])


def map_figure(own: pd.DataFrame) -> Figure:
    """The map: a line for each network, sorted, with the cause of its failures beside it."""
    large = larger(own)[["label", "trainings", "horizon", "estimate", "bound", "smallest_lag", "largest_lag"]]
    frame = own.assign(network=own["label"], **{"state up to": limits(own)})
    drawing = plots.horizon_rows(
        frame,
        "network",
        "state up to",
        "cause",
        title=finding("Learned by half of fresh trainings", large.rename(columns={"trainings": "seeds"}), WIDTH),
        note="point: half-way lag; bar: 95 % interval; arrow: beyond the lags tried; at the "
        "right: why trainings fail (larger state)",
    )
    alt = "The horizon of each network with each size of its state, the longest on top, and why its trainings fail."
    return Figure("map", "The map: horizons of all networks", drawing, frame, alt)


def budget_figure(rows: pd.DataFrame, laws: pd.DataFrame) -> Figure:
    """Horizons against updates, of the larger state, with a panel for each family of cells."""
    frame = larger(rows).sort_values("family", key=in_order, kind="stable")
    power = (
        f"; the updates grow with the lag to the power {laws['exponent'].median():.2g} (median)" if len(laws) else ""
    )
    drawing = plots.horizon_lines(
        frame,
        "updates",
        "label",
        "family",
        title=f"More updates, longer horizons{power}",
        label="updates",
        note="full: seen in the trainings; hollow, dashed: by the law of learning time; bands: 95 %; arrows: bounds",
    )
    alt = "The horizon of each network against the number of updates, with a panel for each family of cells."
    caption = f"Horizon against updates, up to {limits(rows).max()} numbers of state"
    return Figure("budget", caption, drawing, frame, alt)


def size_figure(own: pd.DataFrame, column: str, name: str) -> Figure:
    """Horizons against a size of the networks."""
    frame = own.sort_values("family", key=in_order, kind="stable")
    longer, count = grown(own)
    title = f"{longer} of {count} networks reach twice as far with the larger state"
    if column == "parameters":
        title = f"Over networks with the larger state, horizon and parameters correlate by {correlation(own):.2f}"
    drawing = plots.horizon_lines(
        frame, column, "label", "family", title=title, label=name, note="bars: 95 %; arrows: bounds"
    )
    alt = f"The horizon of each network against {name}, with a panel for each family of cells."
    return Figure(f"by_{column}", f"Horizon against {name}", drawing, frame, alt)


def forecast_table(forecasts: pd.DataFrame) -> Table:
    """What the first quarter of the updates predicted, against what was seen after all of them."""
    texts = pd.DataFrame(
        {
            "network": forecasts["label"],
            "size": forecasts["match"],
            "seen after all updates": forecasts["horizon"],
            "predicted from the first quarter": forecasts["predicted"],
            "agrees": forecasts["agrees"].map({True: "yes", False: "no"}),
        }
    )
    caption = "The horizon that the law of learning time predicts from the first quarter of the updates (95 %)"
    return Table("forecasts", caption, forecasts, texts)


def verdict(own: pd.DataFrame, laws: pd.DataFrame, forecasts: pd.DataFrame, causes: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    agreeing = Share(int(forecasts["agrees"].sum()), len(forecasts))
    longer, count = grown(own)
    doubled = Share(longer, count)
    rank = correlation(own)
    gated = causes[causes["label"].isin(own.loc[own["family"] == "gated", "label"])]
    noise = Share(int(gated["not_learnable"].sum()), int(gated["fails"].sum()))
    power = Middle.of(laws["exponent"]) if len(laws) else None
    return [
        held(above(power, 1.0) if power else OPEN, "the median power of the lag is above 1", f"{power or 'no law'}"),
        held(
            above(agreeing, 0.85) if agreeing.trials else OPEN,
            "a quarter of the updates predicts the horizon of more than 85 % of networks",
            f"{agreeing.count if agreeing.trials else 'none'}",
        ),
        held(
            below(doubled, 0.5) if count else OPEN,
            "most horizons grow less than twofold with a state four times as large",
            f"{longer} of {count} grow more",
        ),
        held(rank < CORRELATED, "horizon and parameters hardly correlate", f"Spearman {rank:.2f}"),
        *reach_lines(own),
        held(
            above(noise, 0.5) if noise.trials else OPEN,
            "most gated trainings that fail are not learnable",
            f"{noise.count if noise.trials else 'none fails'}",
        ),
    ]


def reach_lines(own: pd.DataFrame) -> list[str]:
    """Whether the long memories, and no default gated network, reach the long lag with the larger state."""
    reach = {row["label"]: row for row in larger(own).to_dict("records")}
    lines = []
    for names, far in ((FAR_CELLS, True), (DEFAULTS, False)):
        rows = [reach[name] for name in names if name in reach]
        found = [at_least(mean_horizon(row), LONG) for row in rows]
        what = "reach" if far else "do not reach"
        text = "; ".join(f"{row['label']} {row['horizon']}" for row in rows)
        if rows:
            every = all_of(found if far else [~one for one in found])
            lines.append(held(every, f"{', '.join(row['label'] for row in rows)} {what} lag {LONG}", text))
    return lines


def grown(own: pd.DataFrame) -> tuple[int, int]:
    """How many networks reach at least twice as far with the larger state, of those whose horizons can be compared."""
    longer = count = 0
    for _, both in own.assign(limit=limits(own)).sort_values("limit").groupby("label"):
        if len(both) > 1 and (both["bound"] == "none").any():
            small, large = both["estimate"].clip(both["smallest_lag"], both["largest_lag"]).iloc[[0, -1]]
            longer, count = longer + int(large >= 2 * small), count + 1
    return longer, count


def correlation(own: pd.DataFrame) -> float:
    """Spearman's correlation of horizon and parameters over the networks with the larger state."""
    large = larger(own)
    return float(large["estimate"].clip(upper=large["largest_lag"]).corr(large["parameters"], method="spearman"))


def ends(own: pd.DataFrame) -> tuple[str, str]:
    """The networks with the longest and the shortest horizon."""
    order = own.assign(lag=own["estimate"].clip(own["smallest_lag"], own["largest_lag"])).sort_values("lag")
    first, last = order.iloc[-1], order.iloc[0]
    return tuple(f"{row['label']}, {row['match']}, {row['horizon']}" for row in (first, last))  # type: ignore[return-value]


def limits(rows: pd.DataFrame) -> pd.Series[int]:
    """The largest allowed number of state of each network."""
    return rows["match"].str.split().str[-1].astype(int)


def larger(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the networks with the larger state."""
    return rows[limits(rows) == limits(rows).max()]


def in_order(family: pd.Series[str]) -> pd.Series[int]:
    """A key that sorts families as they are listed."""
    order = {name: place for place, name in enumerate(FAMILIES)}
    return family.map(order).fillna(len(order))
