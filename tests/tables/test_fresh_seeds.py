"""Tables of fresh seeds, on constructed cases."""

import itertools

import numpy as np
import pytest
import scipy
from search_frames import fresh, history, joined

from farback import stats, tables


def test_reported_is_the_mean_over_fresh_seeds_with_its_bootstrap_interval():
    values = [0.1, 0.9, 0.8, 1.0, 0.7]
    row = tables.reported(fresh(values, number=3)).iloc[0]
    assert row[["group", "setting", "number", "seeds"]].tolist() == ["LSTM", "tuned", 3, 5]
    assert row["value"] == pytest.approx(0.7)
    assert (row["low"], row["high"]) == stats.bootstrap(values)
    assert row[["median", "min", "max"]].tolist() == [0.8, 0.1, 1.0]
    two = tables.reported(fresh(values, value_1=[1.0, 2.0, 3.0, 4.0, 5.0])).iloc[0]
    assert (two["value_1"], two["low_1"]) == (3.0, stats.bootstrap([1, 2, 3, 4, 5])[0])


def searched(rng, trials=20, seeds=3, spread=0.0):
    """A search over settings with true values N(0, spread), each measured as a mean over seeds with noise N(0, 1)."""
    worth = spread * rng.standard_normal(trials)
    seen = worth + rng.standard_normal((trials, seeds)).mean(1)
    winner = int(seen.argmax())
    again = worth[winner] + rng.standard_normal(10)
    return history(list(seen)), fresh(again, number=winner), worth[winner]


def test_with_pure_noise_the_gap_is_the_expected_maximum_and_fresh_seeds_are_unbiased():
    """All true values are 0: the search measures E[max of 20 normals] / sqrt 3, fresh seeds 0."""
    rng = np.random.default_rng(0)
    found = [tables.gaps(*searched(rng)[:2]).iloc[0] for _ in range(60)]
    density = scipy.integrate.quad(lambda x: x * 20 * scipy.stats.norm.pdf(x) * scipy.stats.norm.cdf(x) ** 19, -8, 8)[0]
    error = 0.35 / np.sqrt(60)  # the largest of 20 varies by 0.53 / sqrt 3, the mean of ten seeds by 0.32
    assert np.mean([row["gap"] for row in found]) == pytest.approx(density / np.sqrt(3), abs=4 * error)
    assert np.mean([row["fresh"] for row in found]) == pytest.approx(0.0, abs=4 * 0.32 / np.sqrt(60))
    assert np.mean([row["gap"] > 0 for row in found]) > 0.95


def test_fresh_seeds_are_unbiased_if_settings_differ():
    rng = np.random.default_rng(1)
    off = []
    for _ in range(60):
        past, again, worth = searched(rng, spread=1.0)
        off.append(tables.gaps(past, again)["fresh"].iloc[0] - worth)
    assert np.mean(off) == pytest.approx(0.0, abs=4 * 0.32 / np.sqrt(60))


def test_the_gap_is_positive_in_both_directions():
    up = tables.gaps(history([0.2, 0.9]), fresh([0.6, 0.8], number=1)).iloc[0]
    down = tables.gaps(history([-0.2, -0.9]), fresh([-0.6, -0.8], number=1), "minimize").iloc[0]
    for row in (up, down):
        assert row["trials"] == 2
        assert row["gap"] == pytest.approx(0.2)
        assert (row["gap_low"], row["gap_high"]) == (pytest.approx(0.1), pytest.approx(0.3))


def test_only_a_default_setting_may_be_missing_in_the_history():
    past = history([0.2, 0.9])
    both = joined(fresh([0.6], number=1), fresh([0.5], setting="default", number=-1))
    assert tables.gaps(past, both)["setting"].tolist() == ["tuned"]
    with pytest.raises(ValueError, match="trial 7 of the group 'LSTM' is not complete"):
        tables.gaps(past, fresh([0.6], number=7))


def cells(**values):
    """Fresh seeds of cells, each with (default, tuned) values."""
    return joined(
        *(
            fresh(own, cell, setting)
            for cell, pair in values.items()
            for setting, own in zip(("default", "tuned"), pair, strict=True)
        )
    )


def test_gains_are_exact_and_corrected():
    frame = cells(GRU=([0, 0.1, 0.2, 0.3], [0.6, 0.7, 0.8, 0.9]), LSTM=([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]))
    table = tables.gains(frame).set_index("group")
    assert table.loc["GRU", "p"] == pytest.approx(2 / scipy.special.comb(8, 4))
    assert table.loc["GRU", "p_holm"] == pytest.approx(4 / scipy.special.comb(8, 4))
    assert table.loc["GRU", "difference"] == pytest.approx(0.6)
    assert 0 < table.loc["GRU", "low"] < 0.6 < table.loc["GRU", "high"]
    assert table.loc["LSTM", ["difference", "low", "high", "improvement", "p"]].tolist() == [0, 0, 0, 0.5, 1]


def test_contests_are_corrected_within_each_setting():
    frame = cells(
        A=([0.0, 0.1, 0.2], [1.0, 1.0, 1.0]), B=([0.3, 0.4, 0.5], [1.0, 1.0, 1.0]), C=([0.6, 0.7, 0.8], [1.0, 1.0, 1.0])
    )
    table = tables.contests(frame)
    assert table.groupby("setting").size().to_dict() == {"default": 3, "tuned": 3}
    default = table[table["setting"] == "default"]
    assert default["p"].tolist() == pytest.approx([2 / scipy.special.comb(6, 3)] * 3)
    assert default["p_holm"].tolist() == pytest.approx(stats.holm(default["p"]).tolist())
    assert (table[table["setting"] == "tuned"]["p_holm"] == 1).all()
    assert list(zip(default["a"], default["b"], strict=True)) == list(itertools.combinations("ABC", 2))


@pytest.mark.parametrize(
    ("tuned", "share"),
    [
        ((0.9, 0.9, 0.9), 1.0),  # tuned cells are equal: all of the difference was tuning
        ((0.5, 0.7, 0.9), 0.0),  # every cell gains the same: none of it was
        ((0.2, 0.3, 0.4), 0.5),
        ((0.0, 0.4, 0.8), -1.0),
    ],
)
def test_the_share_of_tuning_is_the_removed_part_of_the_spread(tuned, share):
    default = (0.1, 0.3, 0.5)
    pairs = [([before] * 6, [after] * 6) for before, after in zip(default, tuned, strict=True)]
    frame = cells(**dict(zip("ABC", pairs, strict=True)))
    row = tables.tuning_share(frame).iloc[0]
    assert row["default"] == pytest.approx((0.2 + 0.4 + 0.2) / 3)
    assert row[["share", "share_low", "share_high"]].tolist() == pytest.approx([share] * 3)
    assert row["moved"] == pytest.approx(np.mean(np.abs(np.subtract(tuned, default))))
    assert (row["groups"], row["seeds"]) == (3, 6)


def test_there_is_no_share_if_no_cells_differ_at_their_defaults():
    rng = np.random.default_rng(0)
    noise = {name: (0.01 * rng.standard_normal(10), 0.9 + 0.01 * rng.standard_normal(10)) for name in "ABC"}
    row = tables.tuning_share(cells(**noise)).iloc[0]
    assert np.isnan(row["share"])
    assert row["moved"] == pytest.approx(0.9, abs=0.02)
    assert row["moved_low"] < row["moved"] < row["moved_high"]


def test_there_is_no_share_without_two_groups_that_have_both_settings_or_without_a_difference():
    assert tables.tuning_share(joined(cells(A=([0.1], [0.2])), fresh([0.3], "B"))).empty
    assert np.isnan(tables.tuning_share(cells(A=([0.1], [0.2]), B=([0.1], [0.9])))["share"].iloc[0])
    assert tables.gains(fresh([0.3, 0.4])).empty
    assert tables.contests(fresh([0.3, 0.4])).empty


def test_frames_that_cannot_be_reported_are_errors():
    with pytest.raises(ValueError, match="seed 1000 occurs twice in the group 'LSTM', tuned"):
        tables.reported(joined(fresh([0.1]), fresh([0.2])))
    with pytest.raises(ValueError, match="no setting of the search"):
        tables.reported(fresh([]))
