"""Headlines and tables of a sweep: conditions, bounds, and what was tuned."""

import pandas as pd
import pytest

from farback.report import conditions, groups, listed, metrics, standard
from farback.report.conditions import values_text
from farback.report.horizon_texts import reach_text, summarised
from farback.report.sweep_report import probability_text
from made_up_scores import behaviour, rows_of

SETTINGS = {"batch": 32, "steps": 1000, "optimizer.name": "adam", "stop": "sustained"}


def training(label, seed, lag, passed, lr=0.003, **more):
    values = [("retention", 500, lag, name, float(passed)) for name in ("skill", "success")]
    return rows_of(label, seed, values, "fixed", lag, **SETTINGS, **{"optimizer.lr": lr}, **more)


def adaptive():
    """Two networks, tuned over three rates, then judged on fresh seeds."""
    rows = []
    for at, label in enumerate(("GRU", "LSTM, chrono")):
        for lr in (0.001, 0.003, 0.01):
            for seed, lag in enumerate((5, 10, 20, 40)):
                setting = {"role": "choice", "tuned": f"optimizer.lr {lr:g}"}
                rows += training(label, seed, lag, lag <= 3000 * lr, lr, **setting)
        best = {"role": "judged", "tuned": "optimizer.lr 0.01"}
        for seed, lag in enumerate((10, 17, 24, 24, 28, 34, 80, 160, 320)):  # the second passes all
            rows += training(label, 100 + seed, lag, at or lag <= 26, 0.01, **best)
    return pd.DataFrame(rows)


def test_the_conditions_name_task_size_rates_and_budget():
    text = "recall, 32 units, Adam at a rate chosen among 0.001, 0.003 and 0.01, up to 1000 updates of 32, 9 seeds"
    assert conditions(adaptive()) == text
    grid = pd.DataFrame([row for seed in range(5) for lag in (5, 10) for row in training("GRU", seed, lag, True)])
    assert conditions(grid) == "recall, 32 units, Adam at 0.003, up to 1000 updates of 32, 5 seeds"
    limited = grid.assign(match="parameters 5000", stop="never")
    assert conditions(limited) == "recall, up to 5000 parameters, Adam at 0.003, 1000 updates of 32, 5 seeds"
    named = grid.assign(**{"optimizer.name": "adamw", "schedule.name": "cosine", "schedule.warmup": 50})
    expected = "AdamW at 0.003, cosine schedule, 50 updates of warm-up, up to 1000 updates"
    assert expected in conditions(named)
    assert "schedule" not in conditions(grid.assign(**{"schedule.name": "constant", "schedule.warmup": 0}))
    assert values_text(pd.Series([16, 8, 8, 32])) == "8, 16 or 32"


def test_a_tuned_sweep_groups_by_network_and_shows_the_rates_tried():
    scores = adaptive()
    assert groups(scores) == ["label"]
    analysis = standard(scores)
    assert "a rate chosen among 0.001, 0.003 and 0.01" in analysis.headline
    assert "LSTM, chrono at least 320" in analysis.headline
    tables = {table.name: table for table in analysis.tables}
    tried = tables["choices"].shown
    assert tried.columns.tolist() == ["network", "chosen", *(f"optimizer.lr {lr}" for lr in ("0.001", "0.003", "0.01"))]
    assert tried["chosen"].tolist() == ["optimizer.lr 0.01"] * 2
    assert tried["optimizer.lr 0.001"].str.endswith("4 trainings").all()
    (gru, lstm) = tables["trainability"].shown.to_dict("records")
    assert gru["lag 24"] == "2/2"
    assert lstm["horizon"].startswith("at least 320, the limit asked")
    assert gru["trainings"] == "9"


def test_many_lags_are_a_range_and_not_columns():
    rows = [row for lag in range(5, 15) for row in training("GRU", lag, lag, lag < 10)]
    (row,) = standard(pd.DataFrame(rows)).tables[0].shown.to_dict("records")
    assert row["lags tried"] == "10 from 5 to 14"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("26 (24 to 30)", "26 (24 to 30) steps"),
        ("at least 320", "at least 320 steps, the limit asked"),
        ("at least 320 (95 %: from 280)", "at least 320 steps, the limit asked (95 %: from 280)"),
        ("at least 32", "at least 32 steps"),  # the limit of most networks, but not of all
        ("below 5", "below 5 steps, the smallest lag asked"),
    ],
)
def test_a_bound_says_what_limits_it(text, shown):
    assert reach_text({"horizon": text, "smallest_lag": 5, "largest_lag": 320}) == shown


def test_a_bound_below_the_lags_of_other_networks_is_not_the_limit_asked():
    row = {"horizon": "at least 62 (95 %: from 41)", "smallest_lag": 5, "largest_lag": 62}
    assert reach_text(row, "", 320) == "at least 62, the longest lag tried (95 %: from 41)"
    assert reach_text(row, "", 62) == "at least 62, the limit asked (95 %: from 41)"


def test_equal_bounds_are_said_once():
    rows = [row for label in ("A", "B") for seed in range(6) for row in rows_of(label, seed, behaviour(500, 999))]
    analysis = standard(pd.DataFrame(rows))
    assert analysis.headline.endswith("retains: all at least 320, the limit asked.")
    horizons = analysis.tables[0].frame
    assert listed(horizons.iloc[:1], ["label"]) == "A at least 320"
    assert analysis.metrics == {
        f"horizon/{label}/{name}": 320.0 for label in "AB" for name in ("estimate", "low", "high")
    }
    assert analysis.tags == {"horizon/A/bound": "at least", "horizon/B/bound": "at least"}
    below = horizons.iloc[:1].assign(estimate=0.0, low=0.0, high=0.0, bound="below")
    known = horizons.iloc[1:].assign(estimate=26.0, low=0.0, high=30.0, bound="none")
    smallest = float(known["smallest_lag"].iloc[0])
    values, tags = metrics({"trainability": known, "retention": below})
    assert tags == {"horizon/retention/A/bound": "below"}
    assert [values[f"horizon/trainability/B/{end}"] for end in ("estimate", "low", "high")] == [26.0, smallest, 30.0]
    assert values["horizon/retention/A/estimate"] == smallest


def test_no_posterior_is_certain():
    assert [probability_text(value) for value in (1.0, 0.9995, 0.987, 0.5, 0.02, 0.0)] == [
        *("> 99.9%", "> 99.9%", "98.7%", "50%", "2.0%", "< 0.1%"),
    ]


def test_what_was_tried_is_named_by_what_was_tuned():
    captions = [table.caption for table in standard(adaptive()).tables if table.name == "choices"]
    assert captions[0].startswith("Rates tried")
    clipped = adaptive().assign(clip=1.0)
    clipped["tuned"] = clipped["tuned"].str.replace("optimizer.lr", "clip")
    captions = [table.caption for table in standard(clipped.assign(**{"optimizer.lr": 0.003})).tables]
    assert any(caption.startswith("Settings tried") for caption in captions)
    assert "clip chosen among 3 settings" in conditions(clipped)


def test_many_networks_are_summarised_by_the_shortest_and_the_longest_horizon():
    texts = ["9 (6 to 14)", "26 (24 to 30)", "30 (20 to 40)", "at least 320", "at least 320 (95 %: from 280)"]
    rows = zip("ABCDE", texts, (9, 26, 30, float("inf"), float("inf")), strict=True)
    horizons = pd.DataFrame(rows, columns=["label", "horizon", "estimate"]).assign(largest_lag=320)
    assert summarised(horizons, ["label"]) == "from 9 (6 to 14) with A to at least 320 with 2 of 5 networks"
    few = horizons.iloc[:3].assign(bound="none")
    assert summarised(few, ["label"]) == listed(few, ["label"])
