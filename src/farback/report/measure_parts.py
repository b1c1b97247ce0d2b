"""Tables and figures of the measures of memory, as parts of a page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from farback import plots, tables
from farback.report.analysis import Figure, Table, three
from farback.report.group_columns import group_cells, name_of, rows_with, told_apart
from farback.tables.measure_rows import END, START
from farback.tables.truncation import MEASURE

By = Sequence[str]
TRAINED = "trained at lag"


def reached(scores: pd.DataFrame, by: By = ("label",)) -> list[Table | Figure]:
    """How far back each network reaches by every measure: a table of horizons, and a figure of trained networks."""
    horizons = tables.reach_horizons(scores, by)
    curves = tables.reaches(scores, by)
    end = curves[curves["moment"] == "end"]
    drawing = plots.reaches(end, horizons[horizons["moment"] == "end"])
    caption = "How far back by every measure: the lag that half of the seeds reach"
    alt = (
        "A panel for each network: the curve of every measure on its own scale, and below it a bar to its horizon. "
        "Single points: causal reach and decodability of the cue, where all nearer inputs are distractors."
    )
    return [
        Table("reach_horizons", caption, horizons, reach_texts(horizons, by)),
        Figure("reaches", "The reaches of each network, trained", drawing, end, alt),
    ]


def reach_texts(horizons: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row for each network: how far the gradient reaches before training, and every measure after training."""
    trained = horizons[horizons["moment"] == "end"]
    start = horizons[(horizons["moment"] == "start") & (horizons["reach"] == "gradient")]
    if trained.empty:
        trained, start = horizons[horizons["moment"] == "start"], start.iloc[:0]
    named = pd.concat([start.assign(reach="gradient at start"), trained])
    text = named["horizon"].mask(named["horizon"] == "< 0", "none")  # not even the input of the same step
    wide = named.assign(text=text).pivot(index=list(by), columns="reach", values="text")
    wide = wide.reindex(columns=named["reach"].drop_duplicates().tolist())
    return wide.fillna("").reset_index().rename(columns={name: name_of(name) for name in by})


def gradients(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """The figure of the gradient against the lag, before and after training."""
    curves = _start_and_end(tables.gradient_curves(scores, by))
    alt = (
        "The gradient of the last step's loss with respect to the input k steps before, in decades, one line a "
        "network, with the theory for PyTorch's default initialisation."
    )
    return Figure("gradients", "How the gradient changes with the lag", plots.gradients(curves), curves, alt)


def memory(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """The figure of memory functions, before and after training."""
    curves = _start_and_end(tables.memory_curves(scores, by))
    caption = "Memory function: how well a linear readout recovers an unstructured input"
    alt = "Adjusted R² of the input k steps before, with the range of systems without memory."
    return Figure("memory_function", caption, plots.memory(curves), curves, alt)


def spectra(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """The figure of Lyapunov spectra, before and after training."""
    curves = _start_and_end(tables.curves(scores, "lyapunov", "exponent", by))
    alt = "Rates at which differences of the state shrink, from the slowest direction to the fastest."
    return Figure("lyapunov", "Lyapunov spectrum", plots.lyapunov(curves), curves, alt)


def gates(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """The figure of the gates' time constants, before and after training."""
    times = _start_and_end(tables.gate_times(scores, by))
    alt = "The share of the units whose gates keep at least so many steps."
    return Figure("gate_times", "Time constants of the gates", plots.gate_times(times), times, alt)


def progress(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """The figure of the retention horizon during training."""
    horizons = tables.horizon_by_update(scores, by)
    alt = "The largest lag that half of the seeds retain, against the updates so far."
    return Figure("horizon_by_update", "The horizon during training", plots.progress(horizons), horizons, alt)


def truncation(scores: pd.DataFrame, by: By = ("label",)) -> list[Table | Figure]:
    """Table and figure of how far back a network must see for half of its skill, before and after training.

    Networks that were trained at one lag and on mixed lags are told apart. Where a group was trained at several lags,
    the table has a row for each lag, and the figure the curve of the longest that was learned.
    """
    scores = scores.assign(**{TRAINED: scores["trained_lag"]})
    by = told_apart(scores, by, ("train_lags", TRAINED))
    reaches = tables.truncation_reaches(scores, by)
    last = END if END in set(reaches["moment"]) else START
    reaches = reaches[reaches["moment"] == last].drop(columns="moment").reset_index(drop=True)
    caption = "Seeing only the last steps: how many steps back give half of the skill on test data"
    if (reaches["bound"] == "at least").any():
        caption += '; "at least": half of it needs every step of a sequence'
    parts: list[Table | Figure] = [Table("truncation", caption, reaches, truncation_texts(reaches, by))]
    known = reaches[reaches["bound"] != "unknown"]
    if by[-1] == TRAINED:
        known = known.groupby(list(by[:-1]), dropna=False, sort=False).tail(1)  # lags ascend
        scores = scores.merge(known[list(by)], on=list(by))
    if len(known):
        curves = _start_and_end(tables.curves(scores, MEASURE, "kept", by))
        title = "Skill with the last steps only"
        alt = "The share of the full skill that is there if the first input seen lies k steps before the answer."
        parts.append(Figure("truncation_curves", title, plots.truncation(curves), curves, alt))
    return parts


def truncation_texts(reaches: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row for each network: how many steps back give half of the skill, and how many seeds have skill."""
    rows = []
    for row in reaches.to_dict("records"):
        cells = {**group_cells(row, by), "half of the skill, steps back": row["horizon"]}
        cells["full skill"] = "unknown" if pd.isna(row["skill"]) else three(row["skill"])
        rows.append({**cells, "better than chance": f"{row['known']}/{row['seeds']}"})
    return pd.DataFrame(rows)


def lengths(scores: pd.DataFrame, by: By = ("label",)) -> list[Table | Figure]:
    """A table and a figure of networks that were trained at some lags and tested at others."""
    factors = tables.extrapolation(scores, by)
    matrix = tables.trained_and_tested(scores, by)
    caption = "The longest lag that each network reaches, relative to its training lag"
    alt = "How many seeds pass at each test lag, a row for each training lag; the training lag itself is framed."
    return [
        Table("extrapolation", caption, factors, extrapolation_texts(factors, by)),
        Figure("train_test", "Trained at one lag, tested at others", plots.length_map(matrix), matrix, alt),
    ]


def extrapolation_texts(factors: pd.DataFrame, by: By) -> pd.DataFrame:
    """The factors of extrapolation as text: up to the first failure, and counted from the training lag."""
    rows = []
    for row in factors.to_dict("records"):
        bound = "at least " if row["beyond"] > row["seeds"] / 2 else ""
        interval = f"({row['factor_low']:.3g} to {row['factor_high']:.3g})"
        rows.append(
            {
                **group_cells(row, by),
                "trained at": row["trained"],
                "horizon": row["horizon"],
                "factor (interval)": f"{bound}{row['factor']:.3g} {interval}",
                "from its own lag on": f"{row['onward']:.3g}",
                "learned": f"{row['learned']}/{row['seeds']}",
                "timers": f"{row['timers']}/{row['learned']}",
            }
        )
    return pd.DataFrame(rows)


def ranked(scores: pd.DataFrame, by: By = ("label",)) -> list[Table | Figure]:
    """The ranking, the probability that one network beats another, and every seed's skill.

    Each trial must be trained at one lag, and every group on the same problems.
    """
    ranking, skills, pairs = tables.ranking(scores, by), tables.skills(scores, by), tables.improvements(scores, by)
    intervals = (
        "Each network's mean skill over the problems with its 95 % interval, and its worst problem, the best on top."
    )
    map_alt = "A map: how likely a seed of the row's network beats one of the column's, averaged over the problems."
    panels = "A panel for each problem, a line for each network: the skill of every seed, and their median."
    return [
        Table("ranking", "Ranking over all problems", ranking, _ranking_texts(ranking, skills, by)),
        Figure("ranking_intervals", "The ranking with its intervals", plots.ranking(ranking), ranking, intervals),
        Figure("improvement", "Who beats whom", plots.improvement(pairs), pairs, map_alt),
        Figure("skills", "Skill on each problem", plots.skills(skills, ranking), skills, panels),
    ]


def _ranking_texts(ranking: pd.DataFrame, skills: pd.DataFrame, by: By) -> pd.DataFrame:
    """The mean, the worst problem and the share solved with their intervals, and successes on each problem."""
    rows = []
    for rank, row in enumerate(ranking.to_dict("records"), 1):
        group = {name: row[name] for name in by}
        cells = {**group_cells(group, by), "rank": f"{rank}"}
        cells["mean skill, 95 %"] = f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        worst = f"{row['worst']:.2f} ({row['worst_low']:.2f} to {row['worst_high']:.2f})"
        cells["worst problem"] = f"{worst}, {row['worst_problem']}"
        cells["solved"] = f"{row['solved']:.0%} ({100 * row['solved_low']:.0f} to {100 * row['solved_high']:.0f} %)"
        for (task, lag), part in rows_with(skills, group).groupby(["task", "lag"]):
            cells[f"{task} {lag}"] = f"{part['passed'].sum()}/{len(part)}"
        if ranking["diverged"].any():
            cells["diverged"] = f"{row['diverged']}"
        rows.append(cells)
    return pd.DataFrame(rows)


def _start_and_end(table: pd.DataFrame) -> pd.DataFrame:
    """The rows measured before and after training; more moments would make the figure unreadable (MLflow has them)."""
    return table[table["moment"].isin([START, END])].reset_index(drop=True)
