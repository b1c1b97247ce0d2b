"""Groups look the same in every figure, and different from each other, in colour and in grey."""

import itertools
import subprocess
import sys

import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from farback.plots.axes import dodged
from farback.plots.panels import panel_groups
from farback.plots.style import CELLS, GroupName, looks, names


def named(*labels):
    return names(pd.DataFrame({"label": labels, "lag": 1}), "lag")


def grey(colour):
    """Relative luminance (ITU-R BT.709), as a printer without colours would see it."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)]
    return 116 * (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]) ** (1 / 3) - 16


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("LSTM", GroupName("LSTM", "torch")),
        ("LSTM, chrono", GroupName("LSTM", "chrono")),
        ("RNN tanh, 2 layers", GroupName("RNN tanh", "torch", ("2 layers",))),
        ("GRU, chrono, 3 layers, bidirectional", GroupName("GRU", "chrono", ("3 layers", "bidirectional"))),
        (
            "ring (size 4, gain 0.9), scaled (gain 2, bias 0)",
            GroupName("ring (size 4, gain 0.9)", "scaled (gain 2, bias 0)"),
        ),
    ],
)
def test_a_label_is_taken_apart_and_put_together(label, name):
    assert named(label) == [name]
    assert name.text == label


def test_more_group_columns_are_part_of_the_name():
    table = pd.DataFrame({"label": ["LSTM, chrono"], "hidden": [64], "lag": [5]})
    assert names(table, "lag") == [GroupName("LSTM", "chrono", ("hidden 64",))]
    table = pd.DataFrame({"cell": ["GRU"], "init": ["torch"], "depth": [2], "lag": [5]})
    assert names(table, "lag")[0].text == "GRU, depth 2"
    assert names(pd.DataFrame({"task": ["recall"], "lag": [5]}), "lag")[0].text == "task recall"


def test_a_cell_keeps_its_look_whatever_else_is_drawn():
    for cell in CELLS:
        alone, together = named(cell), named("A", cell, "B, chrono", f"{cell}, 2 layers")
        assert looks(alone)[alone[0]] == looks(together)[together[1]]


def test_cells_differ_in_colour_and_marker_and_inits_in_dashes():
    groups = named(
        *CELLS, "A", "B", "C", "D", "LSTM, chrono", "LSTM, orthogonal", "LSTM, identity", "LSTM, own (gain 2)"
    )
    look = looks(groups)
    cells = [look[name] for name in groups[:8]]
    assert len({one.colour for one in cells}) == len({one.marker for one in cells}) == 8
    lstm = [look[name] for name in groups if name.cell == "LSTM"]
    assert len({str(one.dashes) for one in lstm}) == 5
    assert {one.colour for one in lstm} == {CELLS["LSTM"][0]}


def test_the_usual_cells_stay_apart_in_grey():
    shades = sorted(grey(colour) for colour, _ in CELLS.values())
    assert min(b - a for a, b in itertools.pairwise(shades)) > 15


def test_few_groups_share_a_panel_and_many_get_one_a_cell():
    assert list(panel_groups(named("A", "B", "C"), together=4)) == [""]
    shared = panel_groups(named("A", "A, chrono", "B", "B, chrono", "C", "C, 2 layers"), together=4)
    assert {title: len(own) for title, own in shared.items()} == {"A": 2, "B": 2, "C": 1, "C, 2 layers": 1}


def test_dodging_keeps_the_middle():
    lags = [5, 10, 20]
    moved = [dodged(lags, index, 3) for index in range(3)]
    assert moved[1].tolist() == lags
    assert (moved[0] * moved[2]).tolist() == pytest.approx([25, 100, 400])


def test_statistics_and_tables_do_not_import_matplotlib():
    code = "import sys, farback.stats, farback.tables; print({'matplotlib', 'seaborn', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_one_cell_shows_its_first_setting_by_colour_and_the_second_by_dashes():
    table = pd.DataFrame([("GRU", h, b, 1) for h in (8, 16, 128) for b in (16, 64)], columns=["label", "h", "b", "lag"])
    look = looks(names(table, "lag"))
    by_level = {(name.level("h"), name.level("b")): own for name, own in look.items()}
    assert len({own.colour for own in look.values()}) == len({own.marker for own in look.values()}) == 3
    assert {own.dashes for (_, b), own in by_level.items() if b == 16} == {"-"}
    assert all(by_level[h, 16].colour == by_level[h, 64].colour for h in (8, 16, 128))
    shades = [grey(by_level[h, 16].colour) for h in (8, 16, 128)]
    assert shades == sorted(shades)  # in the order of the numbers
    assert min(b - a for a, b in itertools.pairwise(shades)) > 15


@pytest.mark.parametrize("cells", [["GRU"], ["GRU", "LSTM, chrono", "LSTM", "own cell"]])
def test_no_two_of_many_groups_look_the_same(cells):
    levels = itertools.product(cells, (8, 16, 32), (16, 64, 256), (None, 1.0))
    group = names(pd.DataFrame(levels, columns=["label", "hidden", "batch", "clip"]).assign(lag=1), "lag")
    assert len({(own.colour, str(own.dashes), own.marker) for own in looks(group).values()}) == 18 * len(cells)


def test_many_settings_of_one_cell_get_small_multiples_by_the_second():
    group = names(
        pd.DataFrame([("GRU", h, b, 1) for h in (8, 16, 32) for b in (16, 64)], columns=["label", "h", "b", "lag"]),
        "lag",
    )
    shared = panel_groups(group, together=4)
    assert {title: len(own) for title, own in shared.items()} == {"GRU, b 16": 3, "GRU, b 64": 3}
