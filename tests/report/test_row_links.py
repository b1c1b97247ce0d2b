"""Rows of tables lead to the lines of figures, also where settings beside the label tell the networks apart."""

from __future__ import annotations

import pandas as pd
import pytest

from farback import tables
from farback.plots import style
from farback.report import groups
from farback.report.row_links import row_links
from farback.report.sweep_report import shown
from made_up_scores import behaviour, rows_of

SPLIT = [  # what tells two networks of one label apart
    {"depth": (1, 2)},
    {"optimizer.name": ("adam", "sgd"), "hidden": (8, 16)},
    {"optimizer.lr": (0.001, 0.1), "schedule.lr": (1.0, 2.0)},  # two settings of one word
    {"clip": (None, 1.0)},
    {"task.filler": ("blank", "noise"), "measures.0.at": ("end", "start, end")},
    {},
]


def scores(split):
    """Two labels with every combination of the settings."""
    rows = []
    for label in ("GRU", "LSTM, chrono"):
        for at in range(2 if split else 1):
            setting = {name: levels[at] for name, levels in split.items()}
            for seed in range(2):
                rows += rows_of(label, seed, behaviour(500, 20, (5, 10, 20, 40)), **setting)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("split", SPLIT, ids=" and ".join)
def test_every_row_of_horizons_leads_to_a_line_of_its_own(split):
    own = scores(split)
    by = groups(own)
    lines = [name.text for name in style.groups(tables.retention_curves(own, by), "seed")]
    links = row_links(shown(tables.retention_horizons(own, by), by), dict.fromkeys(lines, "retention"))
    assert [link.line for link in links] == lines
    assert len(set(lines)) == (4 if split else 2)


def test_a_row_leads_to_a_line_of_its_first_columns_where_the_figure_tells_fewer_apart():
    table = pd.DataFrame({"cell": ["GRU", "GRU", "LSTM"], "depth": ["1", "2", "1"], "horizon": ["9", "8", "7"]})
    links = row_links(table, {"GRU": "curve", "GRU, depth 2": "deep"})
    assert links == [("curve", "GRU"), ("deep", "GRU, depth 2"), None]


def test_a_first_cell_that_is_a_whole_name_leads_to_its_line():
    table = pd.DataFrame({"pair": ["LSTM, hidden 8", "none"], "p": ["0.1", "0.2"]})
    assert row_links(table, {"LSTM, hidden 8": "curve"}) == [("curve", "LSTM, hidden 8"), None]
