"""Figures of a search draw the numbers of their tables: read back from their artists."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from farback import plots, tables
from farback.plots.search_axes import scales

CELLS = ["RNN tanh", "RNN relu", "LSTM", "GRU"]


def history(groups=CELLS, trials=12):
    rng = np.random.default_rng(5)
    parts = []
    for at, group in enumerate(groups):
        chrono = np.arange(trials) % 2 == at % 2
        own = {
            "group": group,
            "number": range(trials),
            "state": ["failed" if index == 3 else "complete" for index in range(trials)],
            "counted": True,
            "value": np.where(np.arange(trials) == 3, np.nan, rng.uniform(0, 1, trials)),
            "param.optimizer.lr": 10 ** rng.uniform(-4, -1, trials),
            "param.init": np.where(chrono, json.dumps({"name": "chrono", "longest": 80}), "torch"),
            "param.hidden": rng.choice([16, 32, 64], trials),
            "param.init.longest": np.where(chrono, rng.uniform(20, 90, trials), np.nan),
            "keys": "",
            "seconds": 1.0,
            "value_1": rng.uniform(0, 1, trials),
        }
        parts.append(pd.DataFrame(own))
    return pd.concat(parts, ignore_index=True)


def fresh(past):
    rows = []
    for (group, number), setting in [((group, 1), "tuned") for group in CELLS] + [((CELLS[0], 0), "default")]:
        seen = past[(past["group"] == group) & (past["number"] == number)]["value"].iloc[0]
        rows += [(group, setting, number, 100 + seed, seen - 0.1 * seed, False) for seed in range(3)]
    return pd.DataFrame(rows, columns=["group", "setting", "number", "seed", "value", "diverged"])


def lines(figure, label):
    found = [line for ax in figure.axes for line in ax.get_lines() if line.get_label() == label]
    assert found, f"nothing is drawn for {label}"
    return found


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("adaptive", [True, False])
def test_best_after_draws_what_was_observed_and_the_band(adaptive):
    table = tables.best_after(history(), adaptive=adaptive)
    figure = plots.best_after(table, "skill", adaptive)
    assert [ax.get_title(loc="left") for ax in figure.axes] == CELLS
    for ax, group in zip(figure.axes, CELLS, strict=True):
        own = table[table["group"] == group]
        (line,) = lines(figure, group)
        assert line in ax.get_lines()
        assert line.get_ydata()[:-1].tolist() == own["best"].tolist()
        band = ax.collections[0].get_paths()[0].vertices
        assert band[:, 1].min() == own["low"].min()
        assert band[:, 1].max() == own["high"].max()
    written = " ".join(texts(figure))
    assert ("bootstrap" in written) is adaptive
    assert ("all orders" in written) is not adaptive


def test_the_gap_figure_draws_seen_fresh_and_interval_of_every_setting():
    past = history()
    table = tables.gaps(past, fresh(past))
    figure = plots.seen_fresh(table, fresh(past), "skill")
    drawn = {round(float(x), 9) for line in figure.axes[0].get_lines() for x in line.get_xdata()}
    for row in table.to_dict("records"):
        assert {round(row[name], 9) for name in ("seen", "fresh", "low", "high")} <= drawn
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == CELLS[::-1]
    assert texts(figure).count("default") == 1
    assert f"{table['gap'].iloc[0]:+.2f}" in " ".join(texts(figure))


def test_a_gap_figure_of_tuned_settings_only_does_not_speak_of_defaults():
    past = history()
    own = fresh(past)
    figure = plots.seen_fresh(tables.gaps(past, own[own["setting"] == "tuned"]))
    assert not any("default" in text for text in texts(figure))


def test_slices_have_a_panel_for_each_parameter_and_a_logarithmic_axis_where_the_space_is():
    past = history()
    figure = plots.slices(past, ["optimizer.lr"], "skill")
    panels = {ax.get_xlabel(): ax for ax in figure.axes}
    assert set(panels) == {"optimizer.lr", "init", "hidden", "init.longest"}
    assert panels["optimizer.lr"].get_xscale() == "log"
    assert panels["init.longest"].get_xscale() == "linear"
    complete = past[past["state"] == "complete"]
    drawn = np.concatenate([line.get_xdata() for line in panels["optimizer.lr"].get_lines() if line.get_alpha()])
    assert sorted(drawn) == pytest.approx(sorted(complete["param.optimizer.lr"]))
    assert [label.get_text() for label in panels["init"].get_xticklabels()] == ["chrono, longest 80", "torch"]
    assert [label.get_text() for label in panels["hidden"].get_xticklabels()] == ["16", "32", "64"]


@pytest.mark.parametrize("largest", [True, False])
def test_slices_ring_the_best_of_each_group(largest):
    past = history()
    figure = plots.slices(past, largest=largest)
    ringed = [line for line in figure.axes[0].get_lines() if line.get_markersize() == 10]
    values = past.groupby("group", sort=False)["value"]
    assert [line.get_ydata()[0] for line in ringed] == (values.max() if largest else values.min()).tolist()


def test_parallel_coordinates_have_a_line_for_each_complete_trial_and_the_best_on_top():
    past = history()
    figure = plots.parallel(past, ["optimizer.lr"], "skill")
    for ax, (_, own) in zip(figure.axes, past.groupby("group", sort=False), strict=False):
        drawn = [line for line in ax.get_lines() if line.get_alpha()]
        assert len(drawn) == (own["state"] == "complete").sum()
        top = max(drawn, key=lambda line: line.get_zorder())
        all_values = past["value"].dropna()
        share = (own["value"].max() - all_values.min()) / (all_values.max() - all_values.min())
        assert top.get_ydata()[-1] == pytest.approx(share)
        logs = np.log(past[past["state"] == "complete"]["param.optimizer.lr"])
        winner = own.loc[own["value"].idxmax()]
        assert top.get_ydata()[0] == pytest.approx(
            (np.log(winner["param.optimizer.lr"]) - logs.min()) / (logs.max() - logs.min())
        )


def test_a_parameter_that_a_condition_left_out_is_skipped_by_the_line():
    figure = plots.parallel(history(["GRU"]))
    lengths = {len(line.get_xdata()) for line in figure.axes[0].get_lines() if line.get_alpha()}
    assert lengths == {4, 5}


def test_the_front_is_drawn_full_and_the_rest_pale():
    table = tables.front(history(), ["maximize", "minimize"])
    figure = plots.pareto(table, ("skill", "seconds"), (True, False))
    for group in CELLS:
        own = table[(table["group"] == group) & table["front"]].sort_values("value")
        (line,) = lines(figure, group)
        assert line.get_xdata().tolist() == own["value"].tolist()
        assert line.get_ydata().tolist() == own["value_1"].tolist()
    pale = [line for line in figure.axes[0].get_lines() if line.get_alpha() == 0.3]
    assert sum(len(line.get_xdata()) for line in pale) == (~table["front"]).sum()
    assert "less is better" in figure.axes[0].get_ylabel()


def test_importances_are_bars_of_their_length():
    table = pd.DataFrame(
        [(group, name, share) for group in CELLS for name, share in (("optimizer.lr", 0.7), ("init", 0.3))],
        columns=["group", "parameter", "importance"],
    )
    figure = plots.importances(table)
    for ax in figure.axes:
        assert sorted(bar.get_width() for bar in ax.patches) == [0.3, 0.7]
    assert texts(figure).count("70%") == 4


def test_a_search_without_groups_is_drawn():
    past = history([""])
    for figure in (
        plots.best_after(tables.best_after(past)),
        plots.slices(past),
        plots.parallel(past),
        plots.pareto(tables.front(past, ["maximize", "maximize"])),
    ):
        assert not figure.axes[0].get_title(loc="left")
    figure.draw_without_rendering()


def test_numbers_of_few_values_stand_side_by_side_and_others_on_an_axis():
    table = pd.DataFrame(
        {
            "param.hidden": [16.0, 64.0, np.nan, 16.0, 32.0, 32.0, 64.0],
            "param.lr": np.linspace(0.1, 0.9, 7),
            "param.bias": [True, False] * 3 + [True],
            "param.never": [np.nan] * 7,
            "param.shift": [-1.0, *np.linspace(0.1, 0.9, 6)],
        }
    )
    found = scales(table, ["lr", "shift"])
    assert found["param.hidden"].choices == ("16", "32", "64")
    assert found["param.lr"].log
    assert not found["param.lr"].choices
    assert found["param.bias"].choices == ("False", "True")
    assert "param.never" not in found
    assert not found["param.shift"].log  # a logarithm needs values above 0
    np.testing.assert_equal(found["param.hidden"].places(table["param.hidden"]), [0, 2, np.nan, 0, 1, 1, 2])
