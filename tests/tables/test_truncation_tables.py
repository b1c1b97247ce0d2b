"""Tables of truncation reach, and the part of a page, on made-up frames with known reaches."""

import math

import numpy as np
import pandas as pd
import pytest

from farback import plots, tables
from farback.report import measure_parts, standard
from made_up_scores import behaviour, rows_of

LAGS = (0, 1, 2, 4, 8, 16, 32)
SETTINGS = {"batch": 32, "steps": 9, "optimizer.name": "adam", "optimizer.lr": 0.003, "stop": "never"}


def seen(reach, step=9, full=0.8, lags=LAGS, above=1.0):
    """Nothing is kept below the reach; a network without one is at chance."""
    if math.isnan(reach):
        curve = dict.fromkeys(lags, (math.nan, -0.1))
    else:
        kept = {lag: above * (lag >= reach) if lag < lags[-1] else 1.0 for lag in lags}
        curve = {lag: (share, share * full) for lag, share in kept.items()}
    rows = [
        ("truncation_reach", step, lag, name, v)
        for lag in lags
        for name, v in zip(("kept", "skill"), curve[lag], strict=True)
    ]
    return [*rows, ("truncation_reach", step, -1, "reach", float(reach))]


def frame(reaches, label="GRU", **more):
    trials = [rows_of(label, seed, seen(reach), end=9, **SETTINGS, **more) for seed, reach in enumerate(reaches)]
    return pd.DataFrame([row for trial in trials for row in trial])


@pytest.mark.parametrize(
    ("reaches", "text", "estimate", "bound", "known"),
    [
        ([7], "7 (one network: 7 to 7)", 7, "none", 1),
        ([3, 5, 11], "5 (all 3: 3 to 11)", 5, "none", 3),
        ([4, 5, 6, 7, 8, 9], "6 (4 to 9)", 6, "none", 6),
        ([5, 32, 32], "at least 32 (all 3: from 5)", math.inf, "at least", 3),
        ([0, 0, 2], "below 1 (all 3: up to 2)", 0, "below", 3),
        ([5, 6, math.nan], "5 (all 2: 5 to 6)", 5, "none", 2),
        ([5, math.nan], "unknown (1 of 2 networks are better than chance)", math.nan, "unknown", 1),
        ([math.nan] * 3, "unknown (0 of 3 networks are better than chance)", math.nan, "unknown", 0),
    ],
)
def test_the_reach_of_a_group_is_the_median_over_seeds_with_skill(reaches, text, estimate, bound, known):
    (row,) = tables.truncation_reaches(frame(reaches)).to_dict("records")
    assert (row["horizon"], row["bound"], row["known"], row["seeds"]) == (text, bound, known, len(reaches))
    assert row["estimate"] == pytest.approx(estimate, nan_ok=True)
    assert (row["moment"], row["largest_lag"]) == ("end", 32)


def test_the_skill_is_that_of_the_full_run():
    trials = [rows_of("GRU", seed, seen(4, full=full, above=3.0)) for seed, full in enumerate((0.2, 0.5, 0.9))]
    (row,) = tables.truncation_reaches(pd.DataFrame([row for trial in trials for row in trial])).to_dict("records")
    assert row["skill"] == 0.5


def test_reaches_before_and_after_training_are_apart():
    rows = rows_of("GRU", 0, [*seen(math.nan, step=0), *seen(6, step=9)], end=9)
    table = tables.truncation_reaches(pd.DataFrame(rows))
    assert table["moment"].tolist() == ["start", "end"]
    assert table["known"].tolist() == [0, 1]


def test_truncation_joins_the_other_reaches():
    """What is lost without earlier inputs falls below one half where half of the skill is kept."""
    scores = pd.DataFrame(rows_of("GRU", 0, [*seen(8), *behaviour(9, 10)], end=9))
    (row,) = tables.seed_reaches(scores).query("reach == 'truncation'").to_dict("records")
    assert row["horizon"] == "4 to 8"
    curve = tables.reaches(scores).query("reach == 'truncation'")
    assert dict(zip(curve["lag"], curve["median"], strict=True)) == {lag: float(lag < 8) for lag in LAGS}
    assert tables.seed_reaches(scores)["reach"].tolist() == ["truncation", "behaviour"]
    assert len(plots.reaches(tables.reaches(scores), tables.reach_horizons(scores)).axes) == 1


def test_a_page_without_retention_has_the_reach_as_its_horizon():
    scores = pd.concat([frame([3, 5, 11]), frame([math.nan] * 3, "LSTM")])
    analysis = standard(scores)
    assert [part.name for part in analysis.parts] == ["truncation", "truncation_curves", "without_horizon"]
    assert (
        "needs inputs this many steps back: GRU 5 (all 3: 3 to 11); unknown for 1 of 2 networks." in analysis.headline
    )
    assert "The truncation reach is given in place of a horizon, because retention was not" in analysis.headline
    assert "No horizon" not in analysis.headline
    shown = analysis.tables[0].shown.set_index("network")
    assert shown["better than chance"].to_dict() == {"GRU": "3/3", "LSTM": "0/3"}
    assert shown["full skill"].to_dict() == {"GRU": "0.8", "LSTM": "-0.1"}
    assert analysis.metrics == {
        "horizon/truncation/GRU/estimate": 5.0,
        "horizon/truncation/GRU/low": 3.0,
        "horizon/truncation/GRU/high": 11.0,
    }


def test_the_measure_does_not_rename_other_horizons():
    values = [*seen(8), *behaviour(9, 10)]
    scores = pd.DataFrame([row for seed in range(3) for row in rows_of("GRU", seed, values, end=9, **SETTINGS)])
    without = standard(scores[scores["measure"] != "truncation_reach"])
    analysis = standard(scores)
    assert {name: analysis.metrics[name] for name in without.metrics} == without.metrics
    assert {*analysis.metrics} - {*without.metrics} == {
        f"horizon/truncation/GRU/{e}" for e in ("estimate", "low", "high")
    }


def test_a_page_where_no_network_is_better_than_chance_has_no_curves():
    analysis = standard(frame([math.nan] * 4))
    assert [part.name for part in analysis.parts] == ["truncation", "without_horizon"]
    assert analysis.headline.startswith("No network is better than chance on test data")


def test_networks_trained_at_several_lags_have_a_row_for_each():
    """The figure shows the longest lag that was learned."""
    parts = [(4, [4, 4]), (8, [8, 7]), (16, [math.nan] * 2)]
    scores = pd.concat([frame(reaches, trained_lag=lag, train_lags="fixed") for lag, reaches in parts])
    table, figure = measure_parts.truncation(scores)
    assert table.shown["trained at lag"].tolist() == ["4", "8", "16"]
    assert table.frame["known"].tolist() == [2, 2, 0]
    assert set(figure.frame["trained at lag"]) == {8}


def test_networks_trained_at_one_lag_and_on_mixed_lags_are_apart():
    kinds = ("fixed", "log-uniform 1-80", "curriculum 1-80")
    scores = pd.concat([frame([reach] * 2, train_lags=kind) for reach, kind in zip((4, 5, 6), kinds, strict=True)])
    table, figure = measure_parts.truncation(scores)
    assert dict(zip(table.shown["train_lags"], table.frame["estimate"], strict=True)) == {
        "curriculum 1-80": 6,
        "fixed": 4,
        "log-uniform 1-80": 5,
    }
    assert set(figure.frame["train_lags"]) == set(kinds)
    assert [part.name for part in standard(scores).parts].count("truncation") == 1


def test_more_than_the_full_skill_stays_visible():
    """Earlier inputs make answers worse: with 1.3 of the full skill the axis must reach beyond 1.3."""
    scores = pd.DataFrame([row for seed in range(3) for row in rows_of("GRU", seed, seen(4, above=1.3), end=9)])
    curves = tables.curves(scores, "truncation_reach", "kept")
    figure = plots.truncation(curves)
    (ax,) = figure.axes
    (line,) = [line for line in ax.get_lines() if line.get_label() == "GRU"]
    assert np.asarray(line.get_ydata()).tolist() == curves["median"].tolist()
    assert ax.get_ylim()[1] > 1.3 == curves["median"].max()
