"""Every plot can be drawn into the caller's axes or figure, and shows the same there as in a figure of its own."""

import functools
import inspect
import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_figures import depth_first, skill_table
from test_panel_figures import checks, trends
from test_search_figures import CELLS, fresh, history

from farback import plots, tables
from made_up_scores import lengths, loads, panel

LABELS = ["GRU", "LSTM", "LSTM, chrono", "RNN tanh", "RNN relu", "RNN tanh, 2 layers"]
NOT_DRAWN = {"save"}


@functools.cache
def scores():
    return panel(seeds=2)


@functools.cache
def at_end():
    """Without the measures before and during the training: one panel."""
    return scores()[~scores()["step"].isin([0, 100, 200, 300])]


def ranked():
    mean = {"problems": 2, "mean": 0.5, "low": 0.3, "high": 0.6, "worst": 0.1, "worst_problem": "copy, lag 9"}
    return pd.DataFrame({"label": LABELS, **mean, "successes": 3, "trials": 4, "diverged": 1})


def improvements():
    pairs = [(a, b, 0.2 if a < b else 0.8, 0.1, 0.9) for a in LABELS for b in LABELS if a != b]
    return pd.DataFrame(pairs, columns=["a", "b", "probability", "low", "high"])


def skills():
    rows = [(name, task, 9, seed, seed / 3) for name in LABELS for task in ("recall", "copy") for seed in range(3)]
    return pd.DataFrame(rows, columns=["label", "task", "lag", "seed", "skill"])


def importances(groups=("LSTM",)):
    own = pd.DataFrame({"parameter": ["lr", "hidden"], "importance": [0.7, 0.3]})
    return pd.concat([own.assign(group=group)[["group", *own.columns]] for group in groups], ignore_index=True)


def one_trend():
    return trends()[trends()["scale"] == 1.0].drop(columns="scale")


def claims():
    return pd.DataFrame({"id": ["a", "b"], "verdict": ["refuted", "confirmed"], "claim": ["It is.", "It is not."]})


def maps():
    kinds = pd.DataFrame({"label": ["", "", "GRU"], "map": ["observed", "truth", "predicted"]})
    return pd.concat([kinds.assign(pixel=pixel, value=pixel / 4) for pixel in range(4)])


def kept():
    rows = [(name, "end", lag, 3, lag / 9, lag / 10, lag / 8) for name in LABELS for lag in (1, 2, 4, 8)]
    return pd.DataFrame(rows, columns=["label", "moment", "lag", "seeds", "median", "low", "high"])


def kinds(table):
    """The column `kind` before the numbers; the states of the last networks grow with the lag."""
    table.insert(0, "kind", ["first" if row % 2 else "other" for row in range(len(table))])
    rows = range(len(table))
    return table.assign(state=[20 + row for row in rows], state_smallest=20, state_largest=[20 + row for row in rows])


def heights():
    return pd.DataFrame({"label": LABELS, "seed": 0, "height": 0.5, "loss": 0.6})


STEPS = pd.DataFrame({"height": [0.0, 1.0, 2.0], "loss": [0.7, 0.5, 0.4]})
LOADS = ("task.symbols", "task.filler")


def learned() -> pd.DataFrame:
    """Two trainings that learned their lag, and one that did not."""
    rows = [("GRU", 5, 0, 100.0, 200.0, 600), ("GRU", 10, 0, 200.0, 300.0, 600), ("GRU", 20, 0, 600.0, math.inf, 600)]
    return pd.DataFrame(rows, columns=["label", "lag", "seed", "low", "high", "budget"])


def predicted() -> pd.DataFrame:
    """A law of learning time."""
    rows = [("GRU", lag, 30.0 * lag, 20.0 * lag, math.inf) for lag in (5.0, 10.0, 40.0)]
    return pd.DataFrame(rows, columns=["label", "lag", "updates", "low", "high"])


def mapped() -> pd.DataFrame:
    """Horizons of two networks of two sizes, one of them a bound, and the causes of their failures."""
    ends = [
        (10.0, 8.0, 13.0, "none"),
        (20.0, 16.0, 30.0, "none"),
        (40.0, 30.0, math.inf, "none"),
        (math.inf, 60.0, math.inf, "at least"),
    ]
    names = [("GRU", 24), ("GRU", 96), ("LRU", 24), ("LRU", 96)]
    rows = [(*name, "decays", str(end[0]), *end, 5, 80, "seen") for name, end in zip(names, ends, strict=True)]
    columns = ["label", "state", "cause", "horizon", "estimate", "low", "high", "bound"]
    return pd.DataFrame(rows, columns=[*columns, "smallest_lag", "largest_lag", "source"])


def diagnosed() -> pd.DataFrame:
    """Why networks fail at two lags."""
    shared = {"moment": "end", "trained_lag": 5, "seeds": 6, "unknown": 1, "not_learnable": 2}
    rows = [
        {"label": name, **shared, "lag": lag, "fails": 4, "decays": 0.75, "not_read": 0.25, "step": 3.0}
        for name in LABELS
        for lag in (5, 9)
    ]
    columns = [
        "label",
        "moment",
        "trained_lag",
        "lag",
        "seeds",
        "fails",
        "unknown",
        "not_learnable",
        "decays",
        "not_read",
        "step",
    ]
    return pd.DataFrame(rows)[columns]


CALLS = {  # the arguments of each plot, with rows for one panel where it takes axes
    "best_after": lambda make: (tables.best_after(history()), "skill"),
    "calibration": lambda make: (checks(),),
    "causes": lambda make: (diagnosed(),),
    "forest": lambda make: (make["horizons"](LABELS),),
    "gate_times": lambda make: (tables.gate_times(at_end()),),
    "gradients": lambda make: (tables.gradient_curves(at_end()),),
    "horizon_by_state": lambda make: (kinds(make["horizons"](LABELS)), "kind"),
    "horizon_map": lambda make: (depth_first(make["horizons"](LABELS, "cell").assign(depth=1)),),
    "horizon_lines": lambda make: (mapped(), "state", "label", "cause"),
    "horizon_rows": lambda make: (mapped(), "label", "state", "cause"),
    "importances": lambda make: (importances(),),
    "improvement": lambda make: (improvements(),),
    "interference": lambda make: (tables.retained_by_lag(loads(), ["label", *LOADS]), *LOADS),
    "learning_time": lambda make: (learned(), predicted()),
    "length_map": lambda make: (tables.trained_and_tested(lengths()),),
    "lyapunov": lambda make: (tables.curves(at_end(), "lyapunov", "exponent"),),
    "maps": lambda make: (maps(),),
    "memory": lambda make: (tables.memory_curves(at_end()),),
    "parallel": lambda make: (history(),),
    "pareto": lambda make: (tables.front(history(), ["maximize", "maximize"]),),
    "progress": lambda make: (tables.horizon_by_update(scores()),),
    "ranking": lambda make: (ranked(),),
    "reaches": lambda make: (tables.reaches(at_end()), tables.reach_horizons(at_end())),
    "retention": lambda make: (make["curves"](LABELS), [("half", 0.3)]),
    "seen_fresh": lambda make: (tables.gaps(history(), fresh(history())),),
    "skill_by_lag": lambda make: (skill_table(LABELS),),
    "skills": lambda make: (skills(), ranked()),
    "slices": lambda make: (history(),),
    "staircase": lambda make: (heights(), STEPS),
    "success": lambda make: (make["success"](LABELS[:4]), make["fitted"](LABELS[:4]), make["horizons"](LABELS[:4])),
    "trend": lambda make: (one_trend(), "radius", "hidden"),
    "truncation": lambda make: (kept(),),
    "verdicts": lambda make: (claims(),),
}
OPTIONS = {
    "causes": {"title": "T"},
    "horizon_lines": {"title": "T", "label": "numbers"},
    "horizon_rows": {"title": "T", "note": "N"},
    "trend": {"title": "T", "value": "total"},
}


@pytest.fixture
def make(make_success, make_curves, make_horizons, make_fitted):
    return {"success": make_success, "curves": make_curves, "horizons": make_horizons, "fitted": make_fitted}


def artists(axes):
    """What is drawn, as numbers: lines, points and fields, whatever the panel (which has its own line at 0)."""
    drawn = []
    for ax in axes:
        drawn += [np.asarray(line.get_xydata(), float) for line in ax.get_lines()]
        drawn += [np.asarray(each.get_offsets(), float) for each in ax.collections if each.get_array() is None]
        drawn += [np.ravel(each.get_array()) for each in [*ax.collections, *ax.images] if each.get_array() is not None]
        drawn += [np.array(each.get_bbox().bounds) for each in ax.patches if hasattr(each, "get_bbox")]
    return {str(np.nan_to_num(each, nan=-9.0).tolist()) for each in drawn}


@pytest.mark.parametrize("name", sorted(set(plots.__all__) - NOT_DRAWN))
def test_a_plot_is_drawn_where_the_caller_wants(name, make):
    draw, given, options = getattr(plots, name), CALLS[name](make), OPTIONS.get(name, {})
    own = draw(*given, **options)
    size = (9.0, 7.0)
    figure = Figure(figsize=size, layout="constrained")
    settings = dict(mpl.rcParams)
    place = {"ax", "figure"} & inspect.signature(draw).parameters.keys()
    if place == {"ax"}:
        mine, other = figure.subplots(1, 2)
        returned = draw(*given, **options, ax=mine)
        added = [ax for ax in figure.axes if ax is not other]
        assert mine.has_data()
    else:
        assert place == {"figure"}
        upper, lower = figure.subfigures(2, 1)
        other = lower.subplots()
        returned = draw(*given, **options, figure=upper)
        added = [ax for ax in figure.axes if ax is not other]
        assert upper.get_suptitle()
    other.plot([1, 2])
    assert returned is figure
    assert artists(added) == artists(own.axes)
    assert tuple(figure.get_size_inches()) == size
    assert dict(mpl.rcParams) == settings
    figure.draw_without_rendering()
    if place == {"ax"}:
        legend = mine.get_legend()
        assert mine.get_title(loc="left") or (legend and legend.get_title().get_text())
        assert not figure.legends
        box = other.get_tightbbox()
        assert legend is None or not legend.get_window_extent().overlaps(box)


def test_several_panels_have_no_room_in_the_caller_s_axes():
    ax = Figure().subplots()
    before = tables.gradient_curves(scores()[~scores()["step"].isin([100, 200, 300])])
    with pytest.raises(ValueError, match=r"one for each moment \(start, end\): pass the rows of one moment"):
        plots.gradients(before, ax=ax)
    with pytest.raises(ValueError, match="one for each scale"):
        plots.trend(trends(), "radius", "hidden", "scale", title="T", value="total", ax=ax)
    with pytest.raises(ValueError, match="one for each group"):
        plots.importances(importances(CELLS), ax=ax)
    assert not ax.has_data()


def test_what_is_neither_axes_nor_figure_is_refused(make_horizons):
    with pytest.raises(TypeError, match="into matplotlib's axes or figures, got list"):
        plots.forest(make_horizons(["LSTM"]), ax=[1])
    with pytest.raises(TypeError, match="2 panels do not fit into axes"):
        plots.calibration(checks(), figure=Figure().subplots())
