"""Tables and figures of the measures that say how far back, as parts of a page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from farback import tables
from farback.report.analysis import Figure, Table
from farback.report.sweep_report import name_of

By = Sequence[str]
WORDS = {"start": "as initialised", "end": "trained"}


def reached(scores: pd.DataFrame, by: By = ("label",), moment: str = "end") -> list[Table | Figure]:
    """Every reach of every network at one moment: the horizons, and the curves behind them."""
    from farback import plots  # matplotlib takes a second to import

    horizons = tables.reach_horizons(scores, by)
    curves = tables.reaches(scores, by)
    now = curves[curves["moment"] == moment], horizons[horizons["moment"] == moment]
    return [
        Table(
            "reach_horizons",
            "How far back, by every measure: what half of the seeds reach",
            horizons,
            reach_texts(horizons, by),
        ),
        Figure(
            "reaches",
            f"The reaches of each network, {WORDS.get(moment, moment)}",
            plots.reaches(*now),
            now[0],
            "A panel for each network: the curve of every measure on its own scale, and below it a bar to its horizon. "
            "Causal reach and decodability are taken in sequences whose cue stands at their largest lag: nearer inputs "
            "are distractors.",
        ),
    ]


def reach_texts(horizons: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row for each network: the gradient's reach as initialised, and every reach as trained; the CSV has the rest."""
    trained = horizons[horizons["moment"] == "end"]
    start = horizons[(horizons["moment"] == "start") & (horizons["reach"] == "gradient")]
    if trained.empty:
        trained, start = horizons[horizons["moment"] == "start"], start.iloc[:0]
    named = pd.concat([start.assign(reach="gradient at start"), trained])
    order = list(dict.fromkeys(named["reach"]))
    text = named["horizon"].mask(named["horizon"] == "< 0", "none")  # not even the input of the same step
    wide = named.assign(text=text).pivot(index=list(by), columns="reach", values="text").reindex(columns=order)
    return wide.fillna("").reset_index().rename(columns={name: name_of(name) for name in by})


def gradients(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """Log gradient against lag at every moment it was taken at start or end."""
    from farback import plots

    curves = _ends(tables.gradient_curves(scores, by))
    return Figure(
        "gradients",
        "How the gradient changes with the lag",
        plots.gradients(curves),
        curves,
        "The gradient of the last step's loss by the input k steps before, in decades, one line a network, with what "
        "theory says of PyTorch's default initialisation.",
    )


def memory(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """Memory functions."""
    from farback import plots

    curves = _ends(tables.memory_curves(scores, by))
    return Figure(
        "memory_function",
        "Memory function: what a linear readout gives back of an unstructured input",
        plots.memory(curves),
        curves,
        "Adjusted R² of the input k steps before, with the band that systems without memory stay in.",
    )


def spectra(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """Lyapunov spectra."""
    from farback import plots

    curves = _ends(tables.curves(scores, "lyapunov", "exponent", by))
    return Figure(
        "lyapunov",
        "Lyapunov spectrum",
        plots.lyapunov(curves),
        curves,
        "Rates at which differences of the state shrink, from the slowest direction to the fastest.",
    )


def gates(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """Time constants of the gates."""
    from farback import plots

    times = _ends(tables.gate_times(scores, by))
    return Figure(
        "gate_times",
        "Time constants of the gates",
        plots.gate_times(times),
        times,
        "The share of the units whose gates keep at least so many steps.",
    )


def progress(scores: pd.DataFrame, by: By = ("label",)) -> Figure:
    """The retention horizon while training goes on."""
    from farback import plots

    horizons = tables.horizon_by_update(scores, by)
    return Figure(
        "horizon_by_update",
        "The horizon against training time",
        plots.progress(horizons),
        horizons,
        "The largest lag that half of the seeds retain, against the updates so far.",
    )


def lengths(scores: pd.DataFrame, by: By = ("label",)) -> list[Table | Figure]:
    """Training lags against test lags."""
    from farback import plots

    factors = tables.extrapolation(scores, by)
    matrix = tables.trained_and_tested(scores, by)
    return [
        Table(
            "extrapolation",
            "How many times farther than it was trained each network works",
            factors,
            extrapolation_texts(factors, by),
        ),
        Figure(
            "train_test",
            "Trained at one lag, asked at another",
            plots.length_map(matrix),
            matrix,
            "How many seeds pass at each test lag, a row for each training lag, whose own field is framed.",
        ),
    ]


def extrapolation_texts(factors: pd.DataFrame, by: By) -> pd.DataFrame:
    """The factors for people: without a failure on the way, and counted from the training lag on."""
    rows = factors.to_dict("records")
    censored = [row["beyond"] > row["seeds"] / 2 for row in rows]
    return pd.DataFrame(
        {
            **{name_of(name): factors[name] for name in by},
            "trained at": factors["trained"],
            "horizon": factors["horizon"],
            "factor (interval)": [
                f"{'>= ' if beyond else ''}{row['factor']:.3g} ({row['factor_low']:.3g} to {row['factor_high']:.3g})"
                for row, beyond in zip(rows, censored, strict=True)
            ],
            "from its own lag on": [f"{row['onward']:.3g}" for row in rows],
            "learned": [f"{row['learned']}/{row['seeds']}" for row in rows],
            "timers": [f"{row['timers']}/{row['learned']}" for row in rows],
        }
    )


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    """Start and end: what was taken between them is in the tracker, and would crowd the figure."""
    return table[table["moment"].isin(list(WORDS))].reset_index(drop=True)


def ranked(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> list[Table | Figure]:
    """Ranking with intervals as table and figure, who beats whom, and every seed's skill.

    Args:
        scores: the tidy frame of trials trained at one lag each, every group on the same problems.
        by: what makes a group of seeds.
    """
    from farback import plots  # matplotlib takes a second to import

    ranking, skills, pairs = tables.ranking(scores, by), tables.skills(scores, by), tables.improvements(scores, by)
    return [
        Table("ranking", "Ranking over all problems", ranking, places(ranking, skills, by)),
        Figure(
            "ranking_intervals",
            "The ranking with its intervals",
            plots.ranking(ranking),
            ranking,
            "The interquartile mean of each network's skill over all problems, with 95 % intervals, the best on top.",
        ),
        Figure(
            "improvement",
            "Who beats whom",
            plots.improvement(pairs),
            pairs,
            "A map: how likely a seed of the row's network beats one of the column's, averaged over the problems.",
        ),
        Figure(
            "skills",
            "Skill on each problem",
            plots.skills(skills, ranking),
            skills,
            "A panel for each problem, a line for each network: the skill of every seed, and their median.",
        ),
    ]


def places(ranking: pd.DataFrame, skills: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The ranking for people: the interquartile mean, its interval, and successes on each problem."""
    rows = []
    for place, row in enumerate(ranking.to_dict("records"), 1):
        cells = {**{name_of(name): row[name] for name in by}, "rank": f"{place}"}
        cells["IQM of skill, 95 %"] = f"{row['iqm']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        own = skills
        for name in by:
            own = own[own[name] == row[name]]
        for (task, lag), part in own.groupby(["task", "lag"]):
            cells[f"{task} {lag}"] = f"{part['passed'].sum()}/{len(part)}"
        if ranking["diverged"].any():
            cells["diverged"] = f"{row['diverged']}"
        rows.append(cells)
    return pd.DataFrame(rows)
