"""Horizons of trainability: half-way lags with intervals that agree with the rates of their own table."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farback import stats, tables
from made_up_scores import rows_of

LAGS = (5, 10, 20, 40, 80)


def training(label, seed, lag, passed, **more):
    """Rows of one training at one lag."""
    values = [("retention", 500, lag, name, float(passed)) for name in ("skill", "success")]
    return rows_of(label, seed, values, "fixed", lag, **more)


def counted(successes, trials, lags=LAGS, label="GRU", fresh=True, **more):
    """A frame with these successes at each lag; with seeds of their own, or with the same seeds at every lag."""
    rows = []
    for lag, passed, count in zip(lags, successes, trials, strict=True):
        for index in range(count):
            seed = 1000 * lag + index if fresh else index
            rows += training(label, seed, lag, index < passed, **more)
    return pd.DataFrame(rows)


def only(table):
    (row,) = table.to_dict("records")
    return row


def test_fresh_seeds_have_the_psychometric_curve_as_their_headline():
    successes, trials = [4, 6, 3, 1, 0], [4, 6, 6, 3, 2]
    row = only(tables.trainability(counted(successes, trials)))
    fit = stats.psychometric(LAGS, successes, trials)
    assert (row["estimate"], row["low"], row["high"]) == (fit.estimate, fit.low, fit.high)
    assert (row["slope"], row["lapse"], row["fits"]) == (fit.slope, fit.lapse, fit.fits)
    assert [row[name] for name in ("isotonic", "isotonic_low", "isotonic_high")] == pytest.approx(
        stats.isotonic_threshold(LAGS, successes, trials)
    )
    assert (row["seeds"], row["trainings"], row["smallest_lag"], row["largest_lag"]) == (21, 21, 5, 80)
    assert row["horizon"] == f"{fit.estimate:.0f} ({fit.low:.0f} to {fit.high:.0f})"


def test_where_the_curve_does_not_fit_the_isotonic_interval_is_the_headline():
    row = only(tables.trainability(counted([0, 20, 20, 0, 0], [20] * 5)))
    assert not row["fits"]
    assert [row[name] for name in ("estimate", "low", "high")] == [
        row[name] for name in ("isotonic", "isotonic_low", "isotonic_high")
    ]


@given(
    above=st.lists(st.integers(3, 5), min_size=1, max_size=4),
    below=st.lists(st.integers(0, 2), min_size=1, max_size=4),
    fresh=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_half_of_the_seeds_reach_what_the_table_shows(above, below, fresh):
    """Rates above one half at every lag up to L and below from L' on: the crossing lies between L and L'."""
    lags = [5 * 2**step for step in range(len(above) + len(below))]
    row = only(tables.trainability(counted([*above, *below], [5] * len(lags), lags, fresh=fresh)))
    last, first = lags[len(above) - 1], lags[len(above)]
    assert last <= row["isotonic"] <= first
    if not fresh:
        assert last <= row["estimate"] <= first
    assert row["low"] <= row["estimate"] <= row["high"]
    assert row["isotonic_low"] <= first
    assert row["isotonic_high"] >= last


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    ("successes", "trials", "lags", "text", "bound"),
    [
        ([5] * 5, [5] * 5, LAGS, "at least 80", "at least"),
        ([0] * 5, [5] * 5, LAGS, "below 5", "below"),
        ([1], [1], [10], "at least 10 (95 %: from below 10)", "at least"),
        ([0], [1], [10], "below 10 (95 %: up to beyond 10)", "below"),
        ([1], [1], [0], "at least 0", "at least"),
        ([0], [2], [0], "below 0", "below"),
        ([3, 0], [3, 3], [0, 5], "below 5", "below"),
    ],
)
def test_a_horizon_beyond_the_lags_is_a_bound(successes, trials, lags, text, bound, fresh):
    scores = counted(successes, trials, lags, fresh=fresh)
    row = only(tables.trainability(scores))
    assert row["horizon"].startswith(text)
    assert row["bound"] == bound
    assert row["estimate"] == {"at least": math.inf, "below": 0.0}[bound]
    tables.success_curves(scores)
    assert len(tables.comparisons(scores)) == 0


def test_one_seed_on_a_grid_has_a_wide_interval():
    row = only(tables.trainability(counted([1, 1, 1, 0, 0], [1] * 5, fresh=False)))
    assert row["estimate"] == pytest.approx(math.sqrt(20 * 40))
    assert row["low"] < 15
    assert row["high"] > 60


def test_curves_end_at_the_lags_tried_and_cross_one_half_at_the_estimate():
    scores = counted([6, 6, 3, 0, 0], [6] * 5)
    curve = tables.success_curves(scores)
    assert (curve["lag"].min(), curve["lag"].max()) == pytest.approx((5, 80))
    assert (np.diff(curve["rate"]) < 0).all()
    assert (curve["low"] <= curve["rate"]).all()
    assert (curve["rate"] <= curve["high"]).all()
    crossing = np.interp(-0.5, -curve["rate"], curve["lag"])
    assert crossing == pytest.approx(only(tables.trainability(scores))["estimate"], rel=0.05)
    rates = tables.success_curves(counted([0, 20, 20, 0, 0], [20] * 5))  # the curve does not fit
    assert rates["rate"].tolist() == pytest.approx([2 / 3] * 3 + [0, 0])
    assert rates["low"].isna().all()


def test_a_grid_is_compared_by_the_lags_that_each_seed_learns():
    grids = [counted([5] * 4 + [0], [5] * 5, label="A", fresh=False)]
    grids += [counted([5, 5, 0, 0, 0], [5] * 5, label="B", fresh=False)]
    row = only(tables.comparisons(pd.concat(grids)))
    assert row["p"] == row["p_holm"] == pytest.approx(2 / 252)  # separated: 2 / C(10, 5)
    assert row["farther"] > 0.99
    assert (row["a"], row["b"], row["seeds_a"], row["trainings_b"]) == ("A", "B", 5, 25)


def test_fresh_seeds_are_compared_by_the_posterior_probability():
    scores = pd.concat([counted([4, 2, 1], [4] * 3, (10, 20, 40), "A"), counted([3, 1], [4] * 2, (12, 24), "B")])
    row = only(tables.comparisons(scores))
    assert math.isnan(row["p"])
    assert math.isnan(row["p_holm"])
    rng = np.random.default_rng(0)

    def drawn(lags, successes, trials):
        return stats.psychometric(lags, successes, trials).posterior.quantiles(rng.random(20_000))

    a, b = drawn([10, 20, 40], [4, 2, 1], [4] * 3), drawn([12, 24], [3, 1], [4] * 2)
    unknown = (np.minimum(a, b) > math.log2(24)) | (np.maximum(a, b) < math.log2(12))  # beyond the lags of B
    assert row["farther"] == pytest.approx(np.where(unknown, 0.5, a > b).mean(), abs=0.02)


def test_two_groups_beyond_the_lags_are_not_told_apart():
    scores = pd.concat([counted([5] * 5, [5] * 5, label=label) for label in ("A", "B")])
    assert only(tables.comparisons(scores))["farther"] == pytest.approx(0.5)


def test_every_pair_is_corrected_and_a_smaller_family_can_be_declared():
    parts = [
        counted([5] * reach + [0] * (5 - reach), [5] * 5, label=f"{cell}, {init}", fresh=False)
        for cell, reach in (("A", 4), ("B", 2))
        for init in ("x", "y")
    ]
    pairs = tables.comparisons(pd.concat(parts), ["cell", "init"])
    assert len(pairs) == 6
    different = pairs["a"].str[0] != pairs["b"].str[0]
    assert pairs.loc[different, "p_holm"].tolist() == pytest.approx([6 * 2 / 252] * 4)
    within = tables.comparisons(pd.concat(parts), ["cell", "init"], within=["init"])
    assert list(zip(within["a"], within["b"], strict=True)) == [("A, x", "B, x"), ("A, y", "B, y")]
    assert within["p_holm"].tolist() == pytest.approx([2 * 2 / 252] * 2)


def test_trainings_that_helped_to_choose_do_not_count():
    judged = counted([6, 3, 0], [6] * 3, (10, 20, 40), role="judged", tuned="optimizer.lr 0.01")
    choice = counted([0] * 5, [4] * 5, label="GRU", fresh=False, role="choice", tuned="optimizer.lr 0.1")
    both = pd.concat([choice, judged])
    for make in (tables.trainability, tables.success_by_lag, tables.success_curves):
        pd.testing.assert_frame_equal(make(both), make(judged))


def test_a_state_that_grows_with_the_lag_is_that_at_the_horizon():
    parts = []
    for label, successes in (("GRU", [6, 6, 3, 0, 0]), ("attention", [6, 6, 3, 0, 0]), ("no end", [6] * 5)):
        frame = counted(successes, [6] * 5, label=label)
        grows = label != "GRU"
        parts.append(frame.assign(state=6 * (frame["trained_lag"] + 1) if grows else 30))
    judged = pd.concat(parts, ignore_index=True)
    choice = counted([0], [4], (160,), label="GRU", role="choice", tuned="optimizer.lr 0.1").assign(state=10**6)
    found = tables.horizon_by_state(pd.concat([judged, choice])).set_index("label")
    assert found["estimate"]["attention"] == found["estimate"]["GRU"]
    assert found["state"].to_dict() == pytest.approx(
        {"GRU": 30, "attention": 6 * (found["estimate"]["attention"] + 1), "no end": 6 * 81}
    )
    assert found["state_smallest"].to_dict() == {"GRU": 30, "attention": 36, "no end": 36}
    assert found["state_largest"].to_dict() == {"GRU": 30, "attention": 486, "no end": 486}


def test_at_listed_lags_choices_show_the_mean_skill_of_each_setting_at_each_lag():
    successes = {"optimizer.lr 0.001": [3, 1], "optimizer.lr 0.01": [2, 2]}
    parts = [
        counted(passed, [3, 3], (10, 20), fresh=False, role="choice", tuned=setting)
        for setting, passed in successes.items()
    ]
    parts += [
        counted([5], [5], [lag], role="judged", tuned=setting) for lag, setting in zip((10, 20), successes, strict=True)
    ]
    both = pd.concat(parts)
    for frame in (both, both[both["trained_lag"] == 10]):  # one lag alone is listed, too: it is the only one
        table = tables.choices(frame)
        assert (table["smallest_lag"] == table["largest_lag"]).all()
        assert table["horizon"].isna().all()
        skill = table.set_index(["tuned", "smallest_lag"])["skill"]
        for setting, passed in successes.items():
            assert skill[setting].tolist() == pytest.approx([count / 3 for count in passed][: len(skill[setting])])
        chosen = table[table["chosen"]]
        expected = [("optimizer.lr 0.001", 10), ("optimizer.lr 0.01", 20)][: len(chosen)]
        assert list(zip(chosen["tuned"], chosen["smallest_lag"], strict=True)) == expected
        assert len(chosen) == frame["trained_lag"].nunique()


def test_choices_show_what_each_setting_came_to():
    tuned = {"optimizer.lr 0.001": [2, 0, 0], "optimizer.lr 0.01": [4, 4, 1], "optimizer.lr 0.1": [0, 0, 0]}
    parts = [
        counted(successes, [4] * 3, (10, 20, 40), role="choice", tuned=setting) for setting, successes in tuned.items()
    ]
    parts.append(counted([6, 3, 0], [6] * 3, (11, 22, 44), role="judged", tuned="optimizer.lr 0.01"))
    table = tables.choices(pd.concat(parts)).set_index("tuned")
    assert table["chosen"].to_dict() == {
        "optimizer.lr 0.001": False,
        "optimizer.lr 0.01": True,
        "optimizer.lr 0.1": False,
    }
    assert table["trainings"].tolist() == [12] * 3  # without those that judged
    fit = stats.psychometric([10, 20, 40], [4, 4, 1], [4] * 3)
    assert table.loc["optimizer.lr 0.01", ["estimate", "low", "high"]].tolist() == [fit.estimate, fit.low, fit.high]
    assert table.loc["optimizer.lr 0.1", "bound"] == "below"
