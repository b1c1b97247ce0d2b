"""Each figure draws the numbers of its table: read back from its artists."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from farback import plots
from farback.plots.findings import finding

LABELS = {
    1: ["LSTM"],
    8: [f"{cell}{init}" for cell in ("GRU", "LSTM", "RNN relu", "RNN tanh") for init in ("", ", chrono")],
    24: [
        f"{cell}{init}{depth}"
        for cell in ("GRU", "LSTM", "RNN relu", "scaled cell (gain 2, leak 0.1)")
        for init in ("", ", chrono")
        for depth in ("", ", 2 layers", ", 3 layers")
    ],
}


@pytest.fixture
def eight():
    return LABELS[8]


def lines(figure, label):
    """The drawn data of a group, by its label."""
    found = [line for ax in figure.axes for line in ax.get_lines() if line.get_label() == label]
    assert found, f"nothing is drawn for {label}"
    return found


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def beyond_the_view(figure):
    """Labels of ticks outside the limits of their axis: they exist, and are not drawn."""
    found = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        found |= {label for tick in ticks if not low <= tick.get_loc() <= high for label in (tick.label1, tick.label2)}
    return found


def overlapping(figure):
    """Pairs of texts that lie on each other, once laid out."""
    figure.draw_without_rendering()
    outside = beyond_the_view(figure)
    shown = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    shown = [text for text in shown if text not in outside]
    boxes = {
        (text.get_text(), tuple(text.get_window_extent().bounds)) for text in shown if text.get_figure() is not None
    }
    inside = [(text, box) for text, box in boxes if box[2] > 1]
    return [
        (one, other)
        for index, (one, a) in enumerate(inside)
        for other, b in inside[index + 1 :]
        if a[0] + 1 < b[0] + b[2] and b[0] + 1 < a[0] + a[2] and a[1] + 1 < b[1] + b[3] and b[1] + 1 < a[1] + a[3]
    ]


def segments(ax, colour=None):
    """The ends of the horizontal bars of a panel."""
    return [
        tuple(map(float, line.get_xdata()))
        for line in ax.get_lines()
        if len(line.get_xdata()) == 2 and line.get_linewidth() > 2 and colour in (None, line.get_color())
    ]


def test_success_draws_rates_as_dots_without_whiskers_and_the_fitted_curves(eight, make):
    table, curves = make["success"](eight), make["fitted"](eight)
    figure = plots.success(table, curves, make["horizons"](eight))
    dots = {own.get_label(): own for ax in figure.axes for own in ax.collections if own.get_label() in eight}
    assert set(dots) == set(eight)
    for label, own in dots.items():
        rows = table[table["label"] == label]
        lags, rates = own.get_offsets().T
        assert rates.tolist() == rows["rate"].tolist()
        assert np.abs(np.log2(lags / rows["lag"].to_numpy())).max() < 0.3  # side by side, but less than half-way
    assert not any(ax.containers for ax in figure.axes)
    drawn = [line.get_ydata().tolist() for ax in figure.axes for line in ax.get_lines() if len(line.get_ydata()) == 9]
    assert drawn == [curves.loc[curves["label"] == label, "rate"].tolist() for label in eight]


def test_dots_are_larger_with_more_trainings(make):
    table = make["success"](["A"]).assign(trials=[3, 6, 9, 12])
    figure = plots.success(table, make["fitted"](["A"]), make["horizons"](["A"]))
    (dots,) = [own for own in figure.axes[0].collections if own.get_label() == "A"]
    assert dots.get_sizes() == pytest.approx(dots.get_sizes()[0] * np.array([1, 2, 3, 4]))


@pytest.mark.parametrize("at", range(4))
def test_success_marks_the_half_way_lag_with_its_interval_or_an_arrow(at, make):
    label = "ABCD"[at]
    row = make["horizons"](list("ABCD")).iloc[[at]].reset_index(drop=True)
    figure = plots.success(make["success"]([label]), make["fitted"]([label]), row)
    ax, (row,) = figure.axes[0], row.to_dict("records")
    ((left, right),) = segments(ax)
    assert left == (row["low"] if row["low"] > 0 else pytest.approx(5 / 1.45))
    assert right == (row["high"] if math.isfinite(row["high"]) else pytest.approx(40 * 1.45))
    marked = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    arrows = {line.get_marker() for line in marked} & {"<", ">"}
    assert (">" in arrows) == math.isinf(row["high"])
    assert ("<" in arrows) == (row["low"] == 0)
    assert (row["estimate"] in [line.get_xdata()[0] for line in marked]) == (row["bound"] == "none")
    short = ["28 (20 to 40)", "at least 40", "below 5", "14 (< 5 to > 40)"][at]
    assert f"{label}: {short}" in texts(figure)


def test_the_title_is_the_finding(make):
    eight = make["horizons"](list("ABCDEFGH"))
    for draw in (plots.forest(eight), plots.success(make["success"](list("ABCDEFGH")), make["fitted"]("A"), eight)):
        title = draw.get_suptitle().replace("\n", " ")
        assert title == "Learned by half of the seeds: below 5 with 2 of 8 networks; at least 40 with 2 of 8 networks"
    flat = make["horizons"](list("ABCDEFGH")).iloc[[1, 5]]
    assert "all at least 40, the limit asked" in plots.forest(flat).get_suptitle().replace("\n", " ")
    curves = make["curves"](["B", "F"]).assign(above_chance=1.0, median_above_chance=1.0)
    assert "all at least 40, the limit asked" in plots.retention(curves, (), flat).get_suptitle().replace("\n", " ")


def test_a_shared_bound_is_the_limit_asked_only_where_all_were_asked_just_there(make_horizons):
    table = make_horizons(["A", "B"]).assign(horizon="at least 80", bound="at least", largest_lag=80)
    assert finding("Far", table, 12) == "Far: all at least 80, the limit asked"
    assert "limit" not in finding("Far", table.assign(largest_lag=[80, 320]), 12)


def test_retention_draws_every_seed_and_the_median(eight, make_curves):
    table = make_curves(eight)
    figure = plots.retention(table, [("1 of 2 candidates", 0.5)])
    drawn = [np.asarray(line.get_ydata()).tolist() for ax in figure.axes for line in ax.get_lines()]
    for (label, _), own in table.groupby(["label", "seed"]):
        assert own["above_chance"].tolist() in drawn
        medians = own.sort_values("lag")["median_above_chance"].tolist()
        assert list(lines(figure, label)[0].get_ydata()) == medians


def test_chance_and_the_ladder_are_drawn_and_named(make_curves):
    figure = plots.retention(make_curves(["LSTM"]), [("1 of 3", 0.2), ("1 of 2", 0.4), ("the cue", 1.0)])
    levels = {line.get_ydata()[0] for line in figure.axes[0].get_lines() if len(set(line.get_ydata())) == 1}
    assert levels == {0.0, 0.2, 0.4, 0.5}
    assert {"chance", "passes", "1 of 3", "1 of 2"} <= set(texts(figure))
    assert "the cue" not in texts(figure)  # the top of the axis


def test_skills_far_below_chance_do_not_squeeze_the_rest(make_curves):
    table = make_curves(["LSTM"])
    table.loc[0, "above_chance"] = -7.0
    figure = plots.retention(table)
    assert figure.axes[0].get_ylim()[0] > -0.5
    assert any("are not shown" in text for text in texts(figure))


def test_forest_draws_estimates_intervals_and_arrows(eight, make_horizons):
    table = make_horizons(eight)
    ax = plots.forest(table).axes[0]
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert sorted(names) == sorted(table["label"])
    by_height = {}
    for line in ax.get_lines():
        by_height.setdefault(float(line.get_ydata()[0]), []).append(line)
    for row in table.to_dict("records"):
        bar, left, right, *point = by_height[names.index(row["label"])]
        assert [one.get_xdata()[0] for one in point] == [row["estimate"]] * (row["bound"] == "none")
        assert left.get_marker() == ("<" if row["low"] == 0 else "|")
        assert right.get_marker() == (">" if math.isinf(row["high"]) else "|")
        assert bar.get_xdata()[0] == row["low"] if row["low"] > 0 else bar.get_xdata()[0] < 5
        assert bar.get_xdata()[1] == row["high"] if math.isfinite(row["high"]) else bar.get_xdata()[1] > 40


def test_forest_censors_each_network_at_its_own_lags(make_horizons):
    table = make_horizons(["A", "B"]).assign(smallest_lag=[5, 25], largest_lag=[160, 4000])
    table = table.assign(low=0.0, high=math.inf, estimate=[28.0, 1000.0])
    seeds = pd.DataFrame(
        [("A", 0, 160.0, math.inf), ("A", 1, 0.0, 5.0), ("B", 0, 4000.0, math.inf)],
        columns=["label", "seed", "low", "high"],
    )
    drawn = plots.forest(table, seeds).axes[0].get_lines()
    ticks = sorted(float(x) for line in drawn if line.get_color() == "0.5" for x in line.get_xdata())
    assert ticks == [5, 160, 4000]
    arrows = sorted(float(line.get_xdata()[0]) for line in drawn if line.get_marker() in ("<", ">"))
    assert arrows == pytest.approx([5 / 1.45, 25 / 1.45, 160 * 1.45, 4000 * 1.45])


def test_the_text_of_a_map_stands_out_from_its_field(make_horizons):
    table = depth_first(make_horizons(list("ABCDEFGH"), "cell").assign(depth=1))
    table["estimate"] = np.geomspace(5, 40, len(table))
    figure = plots.horizon_map(table)
    figure.draw_without_rendering()
    ax = figure.axes[0]

    def brightness(colour):
        rgb = np.array(to_rgb(colour))
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    fields = [brightness(colour[:3]) for colour in ax.collections[0].get_facecolors()]
    written = [brightness(text.get_color()) for text in ax.texts]
    assert {round(float(one)) for one in written} == {0, 1}  # the darkest fields want white, the lightest black
    for field, text in zip(fields, written, strict=True):
        assert (max(field, text) + 0.05) / (min(field, text) + 0.05) >= 4.5


def test_lines_of_one_cell_are_told_apart():
    table = pd.DataFrame(
        [(label, step, 3, 0.5, 0.4, 0.6) for label in ("GRU", "GRU, 2 layers", "GRU, 3 layers") for step in (1, 2)],
        columns=["label", "step", "seeds", "median", "low", "high"],
    )
    drawn = plots.trend(table, "step", "label", title="T", value="skill").axes[0].get_lines()
    assert len({line.get_marker() for line in drawn}) == 3
    assert len({line.get_color() for line in drawn}) == 3


def test_forest_writes_each_horizon_and_its_count(make_horizons):
    written = texts(plots.forest(make_horizons(["A", "B"])))
    assert "28 (20 to 40)   n = 25" in written
    assert "at least 40   n = 25, 1 diverged" in written


def test_forest_shows_each_network(make_horizons):
    seeds = pd.DataFrame(
        [("A", 0, 20.0, 40.0), ("A", 1, 20.0, 40.0), ("A", 2, 40.0, math.inf), ("A", 3, 0.0, 5.0)],
        columns=["label", "seed", "low", "high"],
    )
    ticks = [
        line for line in plots.forest(make_horizons(["A"]), seeds).axes[0].get_lines() if line.get_color() == "0.5"
    ]
    places = sorted(x for line in ticks for x in line.get_xdata())
    assert places == pytest.approx([5, math.sqrt(800) / 2**0.025, math.sqrt(800) * 2**0.025, 40])


def test_the_map_writes_every_horizon_and_what_was_not_run(make_horizons):
    table = make_horizons([1, 1, 2], first="depth")
    table.insert(1, "cell", ["RNN relu", "RNN tanh", "RNN tanh"])
    figure = plots.horizon_map(table)
    ax = figure.axes[0]
    at = {(round(t.get_position()[1] - 0.5), round(t.get_position()[0] - 0.5)): t.get_text() for t in ax.texts}
    assert at == {(0, 0): "28\n(20 to 40)", (0, 1): "at least 40", (1, 0): "not run", (1, 1): "below 5"}
    shade = np.ma.filled(ax.collections[0].get_array(), np.nan).ravel()
    assert shade == pytest.approx([28.28, 40.0, np.nan, 5.0], nan_ok=True)


FIGURES = {
    "success": lambda make, labels: plots.success(
        make["success"](labels), make["fitted"](labels), make["horizons"](labels)
    ),
    "retention": lambda make, labels: plots.retention(make["curves"](labels), [("half", 0.5), ("nearly half", 0.48)]),
    "forest": lambda make, labels: plots.forest(make["horizons"](labels)),
    "map": lambda make, labels: plots.horizon_map(make["horizons"](labels, "cell").assign(depth=1).pipe(depth_first)),
}


def depth_first(table):
    return table[["depth", *table.columns.drop("depth")]]


@pytest.fixture
def make(make_success, make_curves, make_horizons, make_fitted):
    return {"success": make_success, "curves": make_curves, "horizons": make_horizons, "fitted": make_fitted}


CROWDED = [("success", 24), ("retention", 8), ("forest", 24), ("map", 24)]
OTHERS = sorted({(name, count) for name in FIGURES for count in LABELS} - set(CROWDED))


@pytest.mark.parametrize(
    ("name", "count"), [*CROWDED, *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS)]
)
def test_no_text_overlaps_another(name, count, make):
    assert overlapping(FIGURES[name](make, LABELS[count])) == []


def cut(figure):
    """Texts of legends that reach beyond the sides of the figure."""
    figure.draw_without_rendering()
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    texts = [text for legend in legends for text in (*legend.get_texts(), legend.get_title())]
    boxes = {text.get_text(): text.get_window_extent() for text in texts if text.get_text()}
    return [text for text, box in boxes.items() if box.x0 < 0 or box.x1 > figure.bbox.x1]


def test_long_names_and_horizons_in_legends_are_neither_cut_nor_on_each_other(make):
    starts = ["LSTM", "LSTM, chrono (longest 4000)", "LSTM, forget_bias (bias 1)"]
    figure = FIGURES["success"](make, [*starts, "RNN tanh", "RNN tanh, orthogonal (gain 0.95)"])
    assert (cut(figure), overlapping(figure)) == ([], [])


def test_a_long_note_of_a_legend_is_broken_into_lines(eight):
    rows = [("end", lag, 5, 0.5, 0.4, 0.6, 0.0, 0.01, 32.0) for lag in range(9)]
    columns = ["label", "moment", "lag", "seeds", "median", "low", "high", "null_low", "null_high", "features"]
    figure = plots.memory(pd.DataFrame([(label, *row) for label in eight for row in rows], columns=columns))
    assert cut(figure) == []


def test_equal_lines_are_all_visible(eight):
    """Dashed lines lie on solid ones, and markers of two cells are at different lags."""
    columns = ["label", "moment", "lag", "seeds", "median", "low", "high"]
    rows = [(label, "end", lag, 5, -0.1 * lag, -0.1 * lag, -0.1 * lag) for label in eight for lag in range(40)]
    figure = plots.gradients(pd.DataFrame(rows, columns=columns))
    lines = {line.get_label(): line for line in figure.axes[0].get_lines() if line.get_label() in eight}
    assert lines["LSTM, chrono"].get_zorder() > lines["LSTM"].get_zorder()
    assert set(lines["GRU"].get_markevery()) != set(lines["LSTM"].get_markevery())


@pytest.mark.parametrize("name", ["success", *(pytest.param(one, marks=pytest.mark.slow) for one in list(FIGURES)[1:])])
def test_saving_twice_gives_equal_bytes(name, make, tmp_path):
    once, again = FIGURES[name](make, ["LSTM", "GRU, chrono"]), FIGURES[name](make, ["LSTM", "GRU, chrono"])
    first, second, third = (plots.save(fig, tmp_path / f"{name}.{n}") for n, fig in enumerate((once, once, again)))
    assert [path.name for path in first] == [f"{name}.0.png", f"{name}.0.svg"]
    for a, b, c in zip(first, second, third, strict=True):
        assert a.read_bytes() == b.read_bytes() == c.read_bytes()
    assert b"dc:date" not in first[1].read_bytes()
    assert b"Software" not in first[0].read_bytes()


@pytest.mark.parametrize("name", ["success", "retention"])
def test_one_seed_at_one_lag_is_enough(name, make):
    figure = {
        "success": lambda: plots.success(
            make["success"](["LSTM"], lags=(10,), trials=1),
            make["fitted"](["LSTM"], (10, 10)),
            make["horizons"](["LSTM"], smallest_lag=10, largest_lag=10),
        ),
        "retention": lambda: plots.retention(make["curves"](["LSTM"], lags=(10,), seeds=1)),
    }[name]()
    figure.draw_without_rendering()
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["10"]


@pytest.mark.parametrize("at", range(4))
def test_one_group_may_be_censored_on_any_side(at, make_horizons):
    table = make_horizons(["A", "B", "C", "D"]).iloc[[at]].reset_index(drop=True)
    plots.forest(table.assign(smallest_lag=10, largest_lag=10)).draw_without_rendering()
    plots.horizon_map(depth_first(table.assign(depth=1)))


def test_lag_zero_has_a_place(make_curves):
    figure = plots.retention(make_curves(["LSTM"], lags=(0, 1, 2, 4)))
    figure.draw_without_rendering()
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0", "1", "2", "4"]


def test_a_figure_needs_groups(make_curves):
    with pytest.raises(ValueError, match="needs a table with rows"):
        plots.retention(make_curves(["A"]).iloc[:0])
    with pytest.raises(ValueError, match="group columns before 'seed'"):
        plots.retention(make_curves(["A"]).drop(columns="label"))


def skill_table(eight, seeds=3):
    rows = [
        (name, seed, lag, 1 / (1 + at + seed / 9) - lag / 99)
        for at, name in enumerate(eight)
        for seed in range(seeds)
        for lag in (1, 4, 16)
    ]
    return pd.DataFrame(rows, columns=["label", "seed", "lag", "skill"])


def test_skill_by_lag_draws_medians_between_two_forecasts(eight):
    table = skill_table(eight)
    figure = plots.skill_by_lag(table)
    for name in eight:
        (line,) = lines(figure, name)
        own = table[table["label"] == name].groupby("lag")["skill"].median()
        assert line.get_ydata() == pytest.approx(own.to_numpy())
    assert {"climatology", "Bayes oracle"} <= set(texts(figure))
    assert overlapping(figure) == []


def test_maps_draw_every_map_on_one_scale():
    networks = ("GRU", "LSTM, chrono", "RNN tanh", "last image only")
    kinds = [("", "observed"), ("", "truth"), ("", "bayes"), *((name, "predicted") for name in networks)]
    table = pd.DataFrame(
        [
            (label, kind, pixel, ((pixel * 7 + at) % 10) / 10)
            for at, (label, kind) in enumerate(kinds)
            for pixel in range(16)
        ],
        columns=["label", "map", "pixel", "value"],
    )
    figure = plots.maps(table)
    images = [ax.get_images()[0] for ax in figure.axes if ax.get_images()]
    assert len(images) == 7
    for at, image in enumerate(images):
        assert image.get_array().shape == (4, 4)
        assert image.get_array()[1, 2] == pytest.approx(((6 * 7 + at) % 10) / 10)
        assert image.get_clim() == (0, 1)
    assert {"observed", "actual strikes", "Bayes oracle", "GRU", "LSTM,\nchrono"} <= set(texts(figure))
    assert overlapping(figure) == []


def test_the_staircase_draws_rungs_and_a_marker_for_each_seed(eight):
    steps = pd.DataFrame({"height": [0.0, 1.0, 2.0], "loss": [0.7, 0.5, 0.4]})
    table = pd.DataFrame(
        [(name, seed, seed / 2, 0.7 - seed / 10) for name in eight for seed in range(3)],
        columns=["label", "seed", "height", "loss"],
    )
    figure = plots.staircase(table, steps)
    stairs = figure.axes[0].get_lines()[0]
    assert (stairs.get_xdata().tolist(), stairs.get_ydata().tolist()) == ([0, 1, 2], [0.7, 0.5, 0.4])
    for name in eight:
        (drawn,) = lines(figure, name)
        assert drawn.get_xdata().tolist() == [0, 0.5, 1]
    assert overlapping(figure) == []
