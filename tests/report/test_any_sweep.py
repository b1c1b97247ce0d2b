"""Whatever varies in a sweep without a Python file is seen: in the names of groups, in lines, legends and headlines."""

import itertools

import pandas as pd
import pytest
from sweep_frames import sweep_frame

from farback.plots.style import names
from farback.records.setting_text import group_text
from farback.report import groups, standard
from farback.report.without_horizon import FEW
from some import one_in, some

BASE = {
    "task": {"name": "recall"},
    "cell": {"name": "elman"},
    "init": {"name": "orthogonal"},
    "optimizer": {"name": "adam"},
    "schedule": {"name": "constant"},
    "measures": [{"name": "retention"}],
}
AXES = {
    "task": [{"name": "recall"}, {"name": "copy"}],
    "task.symbols": [2, 8],
    "task.filler": ["noise", "blank"],
    "train_lags": [{"log_uniform": [12, 80]}, {"uniform": [12, 80]}],
    "cell": [{"name": "gru"}, {"name": "lstm"}],
    "cell.nonlinearity": ["tanh", "relu"],
    "init": [{"name": "torch"}, {"name": "orthogonal"}],
    "init.gain": [1.0, 0.9],
    "hidden": [8, 16],
    "match": [{"parameters": 2000}, {"parameters": 4000}],
    "depth": [1, 2, 3],
    "block": [None, {"norm": "rms", "residual": True}],
    "block.mlp": [0, 2],
    "bias": [True, False],
    "bidirectional": [False, True],
    "initial_state": ["zeros", "learned"],
    "optimizer": [{"name": "adam"}, {"name": "sgd"}],
    "optimizer.lr": [0.001, 0.01],
    "optimizer.beta1": [0.9, 0.5],
    "schedule": [{"name": "constant"}, {"name": "cosine"}],
    "schedule.warmup": [0, 20],
    "recurrent_dropout": [0.0, 0.2],
    "truncate": [None, 10],
    "clip": [None, 1.0],
    "batch": [16, 64],
    "steps": [100, 1000],
    "evaluate_every": [50, 100],
    "stop": ["sustained", "never"],
    "measures": [[{"name": "retention", "sequences": 100}], [{"name": "retention", "sequences": 500}]],
}
PAIRS = [
    (first, second)
    for first, second in itertools.combinations(AXES, 2)
    if first.partition(".")[0] != second.partition(".")[0] and {first, second} != {"hidden", "match"}
]


def look(line):
    return line.get_color(), str(line._unscaled_dash_pattern), line.get_marker(), line.get_markerfacecolor()


def check(figure, group_names):
    """Lines of one panel have different looks, and legend, titles of panels and rows together name every group."""
    for ax in figure.axes:
        named = {line.get_label(): line for line in ax.get_lines()} | {own.get_label(): own[0] for own in ax.containers}
        looks = [look(line) for label, line in named.items() if label in group_names]
        assert len(set(looks)) == len(looks)
    handles = [line for legend in figure.legends for line in legend.get_lines()]
    assert len({look(line) for line in handles}) == len(handles)
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    rows = [tick.get_text() for ax in figure.axes for tick in ax.get_yticklabels()]
    titles = [" ".join(ax.get_title("left").split()) for ax in figure.axes]
    unwritten = ("PyTorch's start", "1 layer", "one direction", "published block")  # levels that labels leave out
    inner = [[] if text.startswith(unwritten) else text.split(", ") for text in texts]
    panels = [{*title.split(", "), *parts} for title in titles for parts in [[], *inner]]
    for legend in filter(None, (ax.get_legend() for ax in figure.axes)):  # of a panel: "PyTorch's start: 26 (24 to 30)"
        own = [" ".join(text.get_text().split()).split(": ")[0] for text in legend.get_texts()]
        assert len({look(line) for line in legend.get_lines()}) == len(own)
        title = legend.get_title().get_text().replace("\n", " ")
        texts += own
        panels += [{*title.split(", "), *(p for p in one.split(", ") if not p.startswith(unwritten))} for one in own]
    for name in group_names:
        assert name in [*texts, *rows] or set(name.split(", ")) in panels, name


@pytest.mark.parametrize(("first", "second"), some(PAIRS, one_in(24)))
def test_groups_that_differ_in_two_fields_are_told_apart(first, second):
    scores = sweep_frame(BASE, {name: AXES[name] for name in (first, second)})
    by = groups(scores)
    analysis = standard(scores)
    horizons = analysis.tables[0].frame
    texts = [name.text for name in names(horizons, "seeds")]
    assert len(set(texts)) == len(texts) == len(AXES[first]) * len(AXES[second])
    assert texts == [group_text({name: row[name] for name in by}) for row in horizons.to_dict("records")]
    assert len(texts) > FEW or all(text in analysis.headline for text in texts)
    for part in analysis.figures:
        check(part.drawing, texts)


PROBES = [[{"name": "retention"}, {"name": "probe", "at": [moment]}] for moment in ("start", "end")]
TESTED = [[{"name": "retention", "lags": lags}] for lags in ([], [1, 2])]
OPTIONAL = [[{"name": "retention"}, {"name": "lyapunov", "count": count}] for count in (None, 2)]


@pytest.mark.parametrize("levels", [PROBES, TESTED, OPTIONAL])
def test_trainings_that_differ_in_one_field_of_a_measure_are_told_apart(levels):
    horizons = standard(sweep_frame(BASE, {"measures": levels})).tables[0].frame
    assert len({name.text for name in names(horizons, "seeds")}) == 2
    assert len(standard(sweep_frame(BASE, {"measures": levels, "init.gain": [1.0, 0.9]})).tables[0].frame) == 4


def test_test_lags_that_change_with_the_training_lag_make_no_group():
    parts = [sweep_frame(BASE, {"measures": [level]}) for level in TESTED]
    by_lag = [part[part["trained_lag"] == lag] for part, lag in zip(parts, (20, 80), strict=True)]
    assert groups(pd.concat(by_lag)) == ["label"]
