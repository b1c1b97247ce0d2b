"""Tables of a search's history, compared with numbers computed by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from search_frames import history, joined

from farback import tables

SEEN = [0.2, 0.5, 0.1, 0.9]


def test_best_after_is_the_running_best_as_observed():
    table = tables.best_after(history(SEEN))
    assert table["trials"].tolist() == [1, 2, 3, 4]
    assert table["best"].tolist() == [0.2, 0.5, 0.5, 0.9]
    smaller = tables.best_after(history(SEEN), "minimize")
    assert smaller["best"].tolist() == [0.2, 0.2, 0.1, 0.1]


def test_a_random_search_has_the_mean_of_the_best_over_all_orders():
    orders = np.maximum.accumulate(list(itertools.permutations(SEEN)), axis=1)
    table = tables.best_after(history(SEEN), adaptive=False)
    assert table["expected"].tolist() == pytest.approx(orders.mean(0).tolist())
    assert table.iloc[-1][["expected", "low", "high"]].tolist() == [0.9, 0.9, 0.9]
    mirrored = tables.best_after(history([-value for value in SEEN]), "minimize", adaptive=False)
    assert mirrored["expected"].tolist() == pytest.approx((-table["expected"]).tolist())
    assert mirrored["low"].tolist() == pytest.approx((-table["high"]).tolist())


def test_the_expected_best_does_not_depend_on_the_order_of_a_random_search():
    one, other = (tables.best_after(history(values), adaptive=False) for values in (SEEN, SEEN[::-1]))
    assert one["expected"].tolist() == other["expected"].tolist()
    assert one["best"].tolist() != other["best"].tolist()


def test_the_band_of_an_adaptive_search_is_a_bootstrap_of_its_values():
    table = tables.best_after(history(SEEN))
    draws = [max(each) for each in itertools.product(SEEN[:3], repeat=3)]
    assert table["expected"][2] == pytest.approx(np.mean(draws))
    assert (table["high"] <= table["best"]).all()


def test_a_pruned_trial_counts_with_the_worst_value():
    states = ["pruned", "complete", "failed", "complete", "running"]
    table = tables.best_after(history([9, 0.5, 9, 0.9, 9], states=states))
    assert table["trials"].tolist() == [1, 2, 3, 4]
    assert table["best"].tolist()[1:] == [0.5, 0.5, 0.9]
    assert np.isnan(table["best"][0])
    table = tables.best_after(history([9, 0.5, 9, 0.9, 9], states=states), adaptive=False)
    worst_counts = np.maximum.accumulate(list(itertools.permutations([0.5, 0.5, 0.5, 0.9])), axis=1)
    assert table["expected"].tolist() == pytest.approx(worst_counts.mean(0).tolist())


def test_a_repeated_trial_counts_once_in_the_budget():
    again = history([9, 0.5, 0.9], states=["failed", "complete", "complete"], counted=[False, True, True])
    assert tables.best_after(again)["best"].tolist() == [0.5, 0.9]
    scores = pd.DataFrame({"key": ["a"], "step": [1]})
    assert tables.budgets(again, scores)[["trials", "failed", "other"]].iloc[0].tolist() == [2, 0, 1]


def test_a_group_without_complete_trials_has_a_budget_and_no_best_value():
    table = tables.best_after(joined(history(SEEN, "GRU", states=["failed"] * 4), history(SEEN)))
    assert table[table["group"] == "GRU"]["best"].isna().tolist() == [True] * 4
    assert table[table["group"] == "LSTM"]["best"].iloc[-1] == 0.9


def test_groups_are_in_the_order_of_the_history():
    both = joined(history(SEEN, "tanh"), history(SEEN, "GRU")).sort_values("number")
    assert tables.best_after(both)["group"].drop_duplicates().tolist() == ["tanh", "GRU"]
    assert tables.top_settings(both)["group"].drop_duplicates().tolist() == ["tanh", "GRU"]


def test_top_settings_are_the_best_ones_and_ties_go_to_the_earlier():
    table = tables.top_settings(history([0.2, 0.9, 0.9, 0.1, 0.95]), count=3)
    assert table["number"].tolist() == [4, 1, 2]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["param.optimizer.lr"].tolist() == pytest.approx([1e-1, 1e-2, 1e-3])
    assert tables.top_settings(history([0.2, 0.9]), "minimize", 1)["number"].tolist() == [0]


def test_budgets_count_trials_trainings_and_updates():
    both = joined(history(SEEN, "GRU", states=["complete", "pruned", "failed", "running"]), history(SEEN[:3], "LSTM"))
    keys = [key for text in both["keys"] for key in text.split()]
    scores = pd.DataFrame({"key": keys * 2, "step": [50] * len(keys) + [100] * len(keys)})
    table = tables.budgets(both, scores)
    assert table.columns.tolist() == [
        *("group", "trials", "complete", "pruned", "failed", "other", "trainings", "updates", "seconds", "equal"),
    ]
    assert table.iloc[0].tolist() == ["GRU", 3, 1, 1, 1, 1, 8, 800, 8.0, True]
    assert table.iloc[1].tolist() == ["LSTM", 3, 3, 0, 0, 0, 6, 600, 6.0, True]
    assert not tables.budgets(joined(both, history([1.0], "RNN tanh")), scores)["equal"].any()


def test_the_front_is_what_no_other_trial_dominates():
    values, seconds = [0.9, 0.5, 0.9, 0.4, 0.7], [10.0, 2.0, 8.0, 3.0, 4.0]
    table = tables.front(history(values, value_1=seconds), ["maximize", "minimize"])
    # by hand: 0.9 in 8 beats 0.9 in 10; 0.5 in 2 beats 0.4 in 3; 0.7 in 4 is between them
    assert table["front"].tolist() == [False, True, True, False, True]
    for a, b in itertools.permutations(table[table["front"]].itertuples(), 2):
        assert not (a.value >= b.value and a.value_1 <= b.value_1)


def test_equal_points_are_on_the_front_together():
    assert tables.front(history([1, 1], value_1=[2, 2]), ["maximize", "maximize"])["front"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tables.best_after(history(SEEN), "up"), "maximize or minimize"),
        (lambda: tables.best_after(history(SEEN).drop(columns="value")), "no column 'value'"),
        (lambda: tables.front(history(SEEN, value_1=SEEN), ["maximize"]), "two directions"),
    ],
)
def test_an_unusable_history_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
