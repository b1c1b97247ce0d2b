"""Figures of measures draw the numbers of their tables, which the tests read back from the artists."""

import functools

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from test_figures import lines, overlapping, texts

from farback import plots, tables
from made_up_scores import EIGHT, LAGS, lengths, loads, panel
from some import one_in, some

NETS = {name: EIGHT[name] for name in ("LSTM", "LSTM, chrono", "RNN tanh")}


@pytest.fixture(scope="module")
def frames():
    scores, by = panel(seeds=2, nets=NETS), ["label", "task.symbols", "task.filler"]
    ends = scores[~scores["step"].isin([100, 200, 300])]
    return {
        "reaches": (tables.reaches(ends), tables.reach_horizons(ends)),
        "gradients": (tables.gradient_curves(scores),),
        "memory": (tables.memory_curves(scores),),
        "lyapunov": (tables.curves(scores, "lyapunov", "exponent"),),
        "gate_times": (tables.gate_times(scores),),
        "progress": (tables.horizon_by_update(scores),),
        "length_map": (tables.trained_and_tested(lengths()),),
        "interference": (tables.retained_by_lag(loads(), by), "task.symbols", "task.filler"),
    }


NAMES = ["reaches", "gradients", "memory", "lyapunov", "gate_times", "progress", "length_map", "interference"]


@pytest.fixture(scope="module")
def drawn(frames):
    """Each figure, drawn once for all tests."""
    return functools.cache(lambda name: getattr(plots, name)(*frames[name]))


@pytest.mark.parametrize("name", some(NAMES, one_in(3)))
def test_no_text_overlaps_another_or_is_cut_off(name, drawn):
    figure = drawn(name)
    assert overlapping(figure) == []
    width, height = figure.bbox.bounds[2:]
    for text in [*figure.texts, *(text for one in figure.legends for text in [one.get_title(), *one.get_texts()])]:
        box = text.get_window_extent()
        assert box.x0 >= -1, text.get_text()
        assert box.x1 <= width + 1, text.get_text()
        assert -1 <= box.y0 < box.y1 <= height + 1, text.get_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_saving_twice_gives_equal_bytes(name, frames, tmp_path):
    few = [part[part["label"].isin(["LSTM", "GRU"])] if hasattr(part, "columns") else part for part in frames[name]]
    first, again = (plots.save(getattr(plots, name)(*few), tmp_path / f"{name}.{n}") for n in range(2))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


@pytest.mark.parametrize("name", ["gradients", "memory", "lyapunov"])
def test_curves_are_the_medians_of_the_table(name, frames, drawn):
    (table,) = frames[name]
    figure = drawn(name)
    for label in NETS:
        start, end = lines(figure, label)
        for moment, line in (("start", start), ("end", end)):
            own = table[(table["label"] == label) & (table["moment"] == moment)]
            shown = np.asarray(line.get_ydata(), float)
            kept = ~np.isnan(shown)
            assert kept.any()
            assert shown[kept] == pytest.approx(own["median"].to_numpy()[kept])


def test_theory_falls_as_it_should(drawn):
    figure = drawn("gradients")
    for text, base in (("theory, tanh: 3^(-k/2)", 3), ("theory, relu: 6^(-k/2)", 6)):
        for line in lines(figure, text):
            k = np.asarray(line.get_xdata())
            assert 10 ** np.asarray(line.get_ydata()) == pytest.approx(base ** (-k / 2))


def test_gradients_that_end_in_nothing_leave_the_panel_instead_of_squeezing_it():
    table = pd.DataFrame(
        [("A", "start", k, 3, value, value, value) for k, value in enumerate((0.0, -2.0, -np.inf, -np.inf))],
        columns=["label", "moment", "lag", "seeds", "median", "low", "high"],
    )
    figure = plots.gradients(table, {})
    figure.draw_without_rendering()
    assert -5 < figure.axes[0].get_ylim()[0] < -3


def test_the_bound_and_the_null_band_are_drawn(drawn):
    figure = drawn("memory")
    assert texts(figure).count(" N = 32") == 2
    dotted = [line for ax in figure.axes for line in ax.get_lines() if line.get_linestyle() == ":"]
    assert {-0.02, 0.02} <= {round(float(value), 6) for line in dotted for value in line.get_ydata()}


def test_gates_are_drawn_as_shares_of_units(frames, drawn):
    (table,) = frames["gate_times"]
    for line, moment in zip(lines(drawn("gate_times"), "LSTM"), ("start", "end"), strict=True):
        own = table[(table["label"] == "LSTM") & (table["moment"] == moment)]
        order = np.argsort(line.get_xdata())
        own = own.sort_values("tau")
        assert line.get_xdata()[order] == pytest.approx(own["tau"].to_numpy())
        assert line.get_ydata()[order] == pytest.approx(own["share"].to_numpy())


def test_every_reach_has_a_curve_and_a_bar_to_its_horizon(frames):
    curves, horizons = frames["reaches"]
    end = (curves[curves["moment"] == "end"], horizons[horizons["moment"] == "end"])
    figure = plots.reaches(*end)
    panels = {ax.get_title("left"): ax for ax in figure.axes}
    assert set(panels) == set(NETS)
    for label, ax in panels.items():
        for row in end[1][end[1]["label"] == label].to_dict("records"):
            (curve,) = [line for line in ax.get_lines() if line.get_label() == row["reach"]]
            own = end[0][(end[0]["label"] == label) & (end[0]["reach"] == row["reach"])]
            assert curve.get_ydata().tolist() == own["median"].tolist()
            bar = [line for line in ax.get_lines() if line.get_color() == curve.get_color() and line is not curve]
            assert max(line.get_xdata()[-1] for line in bar if line.get_linewidth() > 3) == row["low"]
            markers = {line.get_marker() for line in bar} - {"None"}
            assert (markers == {">"}) == np.isinf(row["high"])


def test_the_training_lag_is_framed_and_counts_are_written(frames, drawn):
    (table,) = frames["length_map"]
    figure = drawn("length_map")
    (ax,) = [ax for ax in figure.axes if ax.get_title("left") == "GRU"]
    lags = sorted(set(table["lag"]))
    frames_at = {patch.get_xy() for patch in ax.patches if isinstance(patch, Rectangle)}
    assert frames_at == {(lags.index(lag), row) for row, lag in enumerate((5, 10, 20, 40))}
    own = table[table["label"] == "GRU"].set_index(["trained", "lag"])["successes"]
    rows = [tick.get_text() for tick in ax.get_yticklabels()]
    written = {tuple(int(p - 0.5) for p in text.get_position()[::-1]): text.get_text() for text in ax.texts}
    assert {(rows[at], lags[beside]): int(text) for (at, beside), text in written.items()} == own.to_dict()


def test_interference_has_a_map_for_each_distractor(frames, drawn):
    figure = drawn("interference")
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles == [f"{net}: {kind}" for net in ("LSTM", "RNN tanh") for kind in ("blank", "noise", "same")]
    table = frames["interference"][0]
    shade = figure.axes[2].collections[0].get_array().reshape(4, len(LAGS))
    own = table[(table["label"] == "LSTM") & (table["task.filler"] == "same")]
    expected = own.pivot(index="task.symbols", columns="lag", values="rate").sort_index(ascending=False)
    assert np.asarray(shade) == pytest.approx(expected.to_numpy())
    one = tables.retained_by_lag(loads(nets=("LSTM",)), ["task.symbols", "task.filler"])
    assert [ax.get_title("left") for ax in plots.interference(one, "task.symbols", "task.filler").axes] == [
        *("blank", "noise", "same")
    ]


def test_progress_draws_what_half_of_the_seeds_retain(frames, drawn):
    (table,) = frames["progress"]
    figure = drawn("progress")
    for label in NETS:
        (line,) = lines(figure, label)
        own = table[table["label"] == label]
        assert line.get_xdata().tolist() == own["step"].tolist()
        assert np.where(own["low"] > 0, own["low"], line.get_ydata()) == pytest.approx(line.get_ydata())
    figure.draw_without_rendering()
    assert "none" in texts(figure)


def test_maps_of_few_lags_leave_room_for_their_titles():
    scores = loads(nets=("RNN tanh, orthogonal",))
    few = tables.retained_by_lag(scores[scores["lag"].isin([-1, 5, 10])], ["label", "task.symbols", "task.filler"])
    assert overlapping(plots.interference(few, "task.symbols", "task.filler")) == []
    assert overlapping(plots.length_map(tables.trained_and_tested(lengths(lags=(5,), test=(5,))))) == []


def trends():
    rows = [
        (radius, width, scale, 3, width * radius, width * radius - 1, width * radius + 1)
        for radius in (0.5, 0.8, 0.95, 1.1, 1.5)
        for width in (8, 64)
        for scale in (0.01, 1.0, 10.0)
    ]
    return pd.DataFrame(rows, columns=["radius", "hidden", "scale", "seeds", "median", "low", "high"])


def test_a_trend_draws_a_line_for_each_level_and_a_panel_for_each_setting():
    table = trends()
    theory = pd.DataFrame({"radius": [0.5, 1.5], "text": "as much as there is", "value": [4.0, 96.0]})
    figure = plots.trend(table, "radius", "hidden", "scale", title="T", value="total", theory=theory, level=0.0)
    assert [ax.get_title("left") for ax in figure.axes] == ["scale 0.01", "scale 1", "scale 10"]
    for ax, scale in zip(figure.axes, (0.01, 1.0, 10.0), strict=True):
        drawn = {line.get_label(): line for line in ax.get_lines()}
        own = table[(table["scale"] == scale) & (table["hidden"] == 64)]
        assert drawn["64"].get_ydata().tolist() == own["median"].tolist()
        assert drawn["as much as there is"].get_ydata().tolist() == [4.0, 96.0]
    assert {"hidden 8", "hidden 64"} <= set(texts(figure))
    assert overlapping(figure) == []


def test_numbers_of_many_updates_do_not_run_into_each_other():
    rows = [
        (updates, "LSTM", task, 3, 0.5, 0.4, 0.6)
        for task, step, last in (("adding", 4000, 80_000), ("temporal_order", 2000, 40_000))
        for updates in range(step, last + 1, step)
    ]
    table = pd.DataFrame(rows, columns=["step", "network", "task", "seeds", "median", "low", "high"])
    figure = plots.trend(table, "step", "network", "task", title="T", value="skill")
    assert overlapping(figure) == []
    assert "80000" in texts(figure)


def test_networks_keep_their_looks_in_a_trend():
    table = trends().rename(columns={"hidden": "network"})
    table = table[table["scale"] == 1.0].assign(network=lambda frame: frame["network"].map({8: "LSTM", 64: "A"}))
    figure = plots.trend(table, "radius", "network", title="T", value="total")
    assert lines(figure, "LSTM")[0].get_color() == "#004488"


def checks(count=12):
    rows = [
        (
            f"system {at % 4}",
            ("probe", "lyapunov")[at % 2],
            "q",
            expected,
            expected + error,
            error,
            1.0,
            abs(error) <= 1,
        )
        for at, (expected, error) in enumerate(
            zip(np.linspace(-2, 100, count), np.linspace(-5, 0.9, count), strict=True)
        )
    ]
    columns = ["system", "measure", "quantity", "expected", "measured", "error", "tolerance", "holds"]
    return pd.DataFrame(rows, columns=columns)


def test_the_calibration_draws_every_check_and_counts_the_failed():
    table = checks()
    table.loc[len(table)] = ["system 0", "probe", "q", np.inf, np.inf, 0.0, 1.0, True]
    figure = plots.calibration(table)
    left, right = figure.axes
    drawn = [line for line in left.get_lines() if line.get_label() in ("probe", "lyapunov")]
    assert sum(len(line.get_xdata()) for line in drawn) == len(table) - 1  # infinity has no place
    shares = sorted(value for line in right.get_lines() for value in line.get_xdata())
    assert shares == pytest.approx(sorted(table["error"].clip(-3, 3)))
    assert any(text.endswith(f"{(~table['holds']).sum()} of 13 checks fail") for text in texts(figure))
    assert overlapping(figure) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradients", "memory", "lyapunov", "gate_times"])
def test_many_networks_get_a_row_for_each_cell(name):
    nets = {f"{cell}{init}": 5.0 for cell in ("GRU", "LSTM", "A", "B", "C") for init in ("", ", chrono")}
    many = panel(seeds=1, nets=nets)
    build = {"gradients": tables.gradient_curves, "memory": tables.memory_curves, "gate_times": tables.gate_times}
    build["lyapunov"] = lambda scores: tables.curves(scores, "lyapunov", "exponent")
    figure = getattr(plots, name)(build[name](many))
    rows = 2 if name == "gate_times" else 5
    assert len(figure.axes) == (2 if rows == 2 else 10)  # two moments; four networks with gates share a panel
    assert overlapping(figure) == []


def test_a_panel_needs_moments():
    with pytest.raises(ValueError, match="needs a column 'moment'"):
        plots.memory(pd.DataFrame({"label": ["A"], "lag": [1]}))


def test_no_line_and_no_bar_lie_over_distractors():
    """With the cue at one lag only, curve and bar agree: the cue is a point of its own."""
    columns = ["label", "moment", "reach", "lag", "seeds", "median", "low", "high"]
    skills = {"causal": (0.0, 0.0, 0.0, 1.0), "decodable": (1.0, 1.0, 0.0, 0.0)}
    rows = [
        ("A", "end", reach, lag, 3, value, value, value)
        for reach, own in skills.items()
        for lag, value in zip((1, 10, 80, 160), own, strict=True)
    ]
    horizons = pd.DataFrame(
        [("A", "end", "causal", 160.0, np.inf, 160.0), ("A", "end", "decodable", 10.0, 80.0, 10.0)],
        columns=["label", "moment", "reach", "low", "high", "most"],
    )
    figure = plots.reaches(pd.DataFrame(rows, columns=columns), horizons)
    (ax,) = figure.axes
    causal = [line.get_xdata().tolist() for line in lines(figure, "causal")]
    assert causal == [[1, 10, 80], [160]]
    assert [line.get_xdata().tolist() for line in lines(figure, "decodable")] == [[1, 10, 80, 160]]
    bars = [line for line in ax.get_lines() if line.get_ydata()[0] < -0.04 and line.get_linestyle() == "-"]
    spans = {line.get_color(): sorted(line.get_xdata()) for line in bars}
    assert spans[lines(figure, "causal")[0].get_color()] == [160, 160]
    assert spans[lines(figure, "decodable")[0].get_color()][1] == 10


def test_long_names_are_broken_into_lines_that_panels_have_room_for():
    """Titles of neighbouring panels ran into each other."""
    nets = {f"DeltaNet (heads {n}, negative_eigenvalues True)": EIGHT["GRU"] for n in (2, 4)}
    scores = panel(seeds=1, nets=nets)
    assert overlapping(plots.reaches(tables.reaches(scores), tables.reach_horizons(scores))) == []
