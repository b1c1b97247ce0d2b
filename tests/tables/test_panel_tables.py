"""Tables of the measures, on made-up frames with known reaches."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy

from farback import stats, tables
from made_up_scores import behaviour, gradient, lengths, loads, panel, rows_of

ONE = {"LSTM": 5.0}


def frame(*trials):
    return pd.DataFrame([row for trial in trials for row in trial])


def spread(values, measure="memory_function", statistic="r2", lag=3, step=0):
    """One number for each seed."""
    return frame(*(rows_of("A", seed, [(measure, step, lag, statistic, v)], end=step) for seed, v in enumerate(values)))


def test_a_curve_is_the_median_over_seeds_with_its_order_statistics():
    values = [0.9, 0.1, 0.4, 0.3, 0.8, 0.2, 0.7, 0.5, 0.6]
    row = tables.curves(spread(values), "memory_function", "r2").iloc[0]
    expected = scipy.stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert (row["moment"], row["lag"], row["seeds"], row["median"]) == ("start", 3, 9, 0.5)
    assert (row["low"], row["high"]) == (expected.low, expected.high)


def test_the_order_of_rows_and_their_index_do_not_matter():
    scores = panel(seeds=2, nets=ONE)
    shuffled = scores.sample(frac=1, random_state=1)
    shuffled.index = [7] * len(shuffled)
    for table in (tables.reaches, tables.reach_horizons, tables.gate_times, tables.horizon_by_update, tables.rates):
        args = (["label"],)
        pd.testing.assert_frame_equal(table(scores, *args), table(shuffled, *args))


def test_moments_come_in_the_order_of_training():
    scores = frame(rows_of("A", 0, [row for step in (1000, 0, 200, 900) for row in gradient(step, 2)], end=1000))
    moments = tables.gradient_curves(scores)["moment"].unique().tolist()
    assert moments == ["start", "after 200 updates", "after 900 updates", "end"]


def test_a_measure_that_was_not_taken_at_the_end_has_no_end():
    scores = frame(rows_of("A", 0, gradient(200, 2), end=1000))
    assert set(tables.gradient_curves(scores)["moment"]) == {"after 200 updates"}


def test_gradients_are_relative_to_the_smallest_lag_of_each_seed():
    scores = frame(*(rows_of("A", seed, gradient(0, 4.0, start=start)) for seed, start in enumerate((-3, 0, 5))))
    table = tables.gradient_curves(scores)
    assert table["median"].tolist() == pytest.approx((-table["lag"] / 4 / math.log(10)).tolist())
    assert (table["high"] - table["low"]).abs().max() < 1e-12


def test_an_exactly_zero_gradient_is_minus_infinity_and_one_without_a_start_is_left_out():
    gone = [("gradient_reach", 0, k, "log10", value) for k, value in enumerate((0.0, -1.0, -math.inf))]
    dead = [("gradient_reach", 0, k, "log10", -math.inf) for k in range(3)]
    table = tables.gradient_curves(frame(rows_of("A", 0, gone), rows_of("A", 1, dead)))
    assert table["median"].tolist() == [0.0, -1.0, -math.inf]
    assert set(table["seeds"]) == {1}


def test_reaches_end_where_each_measure_says():
    """Every measure's own threshold is 0.5 on the common scale."""
    tau = 7.0
    values = gradient(0, tau, lags=range(200))
    values += [("causal_reach", 0, k, "effect", math.exp(-2 * k / tau)) for k in range(200)]
    values += [("probe", 0, k, "skill", math.exp(-k / tau)) for k in range(200)]
    values += [("memory_function", 0, k, "r2", math.exp(-2 * k / tau)) for k in range(200)]
    values += behaviour(0, 40)
    found = tables.seed_reaches(frame(rows_of("A", 0, values, end=0))).set_index("reach")
    assert found.loc["gradient", "low"] == math.floor(tau * math.log(1000))
    assert found.loc["causal", "low"] == math.floor(tau * math.log(100) / 2)
    assert found.loc["decodable", "low"] == math.floor(tau * math.log(2))
    assert found.loc["memory", "low"] == math.floor(tau * math.log(2) / 2)
    assert (found.loc["behaviour", "low"], found.loc["behaviour", "high"]) == (40, 80)
    assert found.index.tolist() == ["gradient", "causal", "decodable", "memory", "behaviour"]


def test_the_common_scale_is_between_0_and_1():
    scores = panel(seeds=2, nets={"GRU": 1.5, "LSTM": 400.0})
    exploding = frame(rows_of("RNN relu", 0, gradient(0, -2.0)))
    table = tables.reaches(pd.concat([scores, exploding]))
    assert table[["median", "low", "high"]].to_numpy().min() >= 0
    assert table[["median", "low", "high"]].to_numpy().max() <= 1


def test_reach_horizons_are_medians_with_a_count_of_seeds_beyond():
    scores = frame(*(rows_of("A", seed, behaviour(9, reach), end=9) for seed, reach in enumerate((2, 20, 20, 80, 999))))
    row = tables.reach_horizons(scores).iloc[0]
    assert (row["horizon"], row["least"], row["most"], row["beyond"]) == ("28 (all 5: 2 to beyond 320)", 2, 320, 1)


def test_a_diverged_net_has_no_behaviour():
    lost = rows_of("A", 0, behaviour(9, 320), end=9, status="diverged")
    assert tables.seed_reaches(frame(lost))["horizon"].tolist() == ["below 1"]


def test_memory_curves_have_the_null_range_and_the_number_of_features():
    table = tables.memory_curves(panel(seeds=3, nets=ONE))
    assert set(table["features"]) == {32}
    assert set(table["null_low"]) == {-0.02}
    assert set(table["null_high"]) == {0.02}


def test_gate_times_are_the_distribution_over_all_units():
    tau = {0: [1.0, 4.0], 1: [2.0, 3.0]}
    scores = frame(*(rows_of("A", s, [("gate_times", 0, n, "tau", v) for n, v in enumerate(tau[s])]) for s in tau))
    table = tables.gate_times(scores)
    assert table["tau"].tolist() == [4, 3, 2, 1]
    assert table["share"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert set(table["seeds"]) == {2}


def test_rates_name_the_law_that_most_seeds_follow():
    trials = [gradient(0, 4.0), gradient(0, 5.0), gradient(0, 5.5)]
    trials[2] = [(m, s, k, name, 2.0 if name == "law" else v) for m, s, k, name, v in trials[2]]
    row = tables.rates(frame(*(rows_of("A", seed, own) for seed, own in enumerate(trials))), ["label"]).iloc[0]
    assert row["median"] == pytest.approx(-1 / 5)
    assert row["half_life"] == pytest.approx(5 * math.log(2))
    assert (row["law"], row["exploding"]) == ("exponential", 0)


def test_the_matrix_counts_seeds_at_every_pair_of_lags():
    table = tables.trained_and_tested(lengths(nets=("GRU",)))
    assert table["trained"].unique().tolist() == ["5", "10", "20", "40", "log-uniform 1-40"]
    at = table.set_index(["trained", "lag"])["successes"]
    assert [at["10", lag] for lag in (5, 10, 20, 40)] == [0, 3, 2, 0]  # seed 0 right at 10 alone, 1 and 2 twice as far
    low, high = stats.wilson(2, 3)
    assert table.set_index(["trained", "lag"]).loc[("10", 20), ["low", "high"]].tolist() == [low, high]


def test_extrapolation_counts_timers():
    table = tables.extrapolation(lengths(nets=("GRU",))).set_index("trained")
    ten, mixed = table.loc["10"], table.loc["log-uniform 1-40"]
    assert (ten["factor"], ten["onward"], ten["learned"], ten["timers"]) == (0, 2, 3, 3)
    assert (mixed["factor"], mixed["onward"], mixed["learned"], mixed["timers"]) == (4, 4, 3, 0)
    assert mixed["horizon"] == "226 (all 3: 160 to 320)"


def test_horizons_by_update_include_seeds_that_stopped_early():
    early = rows_of("A", 0, behaviour(0, 0) + behaviour(100, 5) + behaviour(150, 80), end=150)
    late = rows_of("A", 1, behaviour(0, 0) + behaviour(100, 5) + behaviour(200, 10) + behaviour(300, 20), end=300)
    table = tables.horizon_by_update(frame(early, late)).set_index("step")
    assert table.index.tolist() == [0, 100, 200, 300]
    assert table["least"].tolist() == [0, 5, 10, 20]
    assert table["most"].tolist() == [0, 5, 80, 80]
    texts = ["below 1", "7.1 (all 2: 5 to 10)", "40 (all 2: 10 to 160)", "57 (all 2: 20 to 160)"]
    assert table["horizon"].tolist() == texts


def test_decay_and_interference_are_separate_groups():
    by = ["label", "task.symbols", "task.filler"]
    table = tables.retained_by_lag(loads(nets=("LSTM",)), by).set_index([*by[1:], "lag"])
    assert table.loc[(4, "blank", 160), "successes"] == 3
    assert table.loc[(4, "same", 160), "successes"] == 0
    with pytest.raises(ValueError, match="two trials share seed"):
        tables.retained_by_lag(loads(nets=("LSTM",)), ["label"])


def test_errors_name_what_the_frame_has():
    scores = panel(seeds=1, nets={"RNN tanh": 2.0})
    with pytest.raises(ValueError, match="needs the measure gate_times"):
        tables.gate_times(scores)
    with pytest.raises(ValueError, match=r"no statistic 'r3'; it has .*'r2'"):
        tables.curves(scores, "memory_function", "r3")
    with pytest.raises(ValueError, match="two trials share seed 0"):
        tables.curves(panel(seeds=1), "memory_function", "r2", ["hidden"])
    with pytest.raises(ValueError, match="needs one of the measures"):
        tables.reaches(scores[scores["measure"] == "lyapunov"])


def test_a_median_interval_of_few_values_is_their_range():
    assert stats.median_interval([3.0, 1.0, 2.0]) == (1, 3)
    assert stats.median([1.0, 2.0, math.inf, math.inf]) == 2
    with pytest.raises(ValueError, match="no nan"):
        stats.median([1.0, math.nan])


@pytest.mark.parametrize("count", [6, 7, 10, 15, 25, 100])
def test_a_median_interval_is_scipys(count):
    values = np.random.default_rng(count).normal(size=count)
    expected = scipy.stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert stats.median_interval(values) == (expected.low, expected.high)


def test_an_effect_of_the_cue_alone_reaches_to_the_cue():
    """Distractors that do not matter end neither causal reach nor decodability; a gradient that is interrupted ends."""
    lags = (0, 1, 2, 4, 8, 16, 32)
    values = [("causal_reach", 9, k, "effect", float(k == 16)) for k in lags]
    values += [("probe", 9, k, "skill", float(k == 16)) for k in lags]
    values += [("probe", 9, 64, "skill", math.nan)]  # one possible input: nothing to decode
    values += [("gradient_reach", 9, k, "log10", 0.0 if k in (0, 16) else -5.0) for k in lags]
    found = tables.seed_reaches(frame(rows_of("A", 0, values, end=9))).set_index("reach")
    assert found["horizon"].to_dict() == {"gradient": "below 1", "causal": "16 to 32", "decodable": "16 to 32"}


def test_with_the_cue_at_each_lag_a_reach_ends_at_the_first_failure():
    passes = (1, 2, 16)
    values = [("causal_reach", 9, k, "effect", float(k in passes)) for k in (1, 2, 4, 8, 16, 32)]
    values += [("probe", 9, k, "skill", float(k in passes)) for k in (1, 2, 4, 8, 16, 32)]
    scores = frame(rows_of("A", 0, values, end=9)).assign(**{"measures.causal_reach.each_lag": True})
    found = tables.seed_reaches(scores).set_index("reach")["horizon"]
    assert found.to_dict() == {"causal": "2 to 4", "decodable": "16 to 32"}
