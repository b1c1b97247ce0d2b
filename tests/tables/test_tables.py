"""Tables of frames made by hand, with known numbers."""

import math

import numpy as np
import pandas as pd
import pytest

from farback import stats, tables

CHANCE = 0.25


def trial(label, seed, lag, values, **more):
    """Rows of one trial; `values` maps a test lag to its skill, or a training lag to True or False."""
    status = more.pop("status", "finished")
    train_lags = more.pop("train_lags", "fixed")
    step = more.pop("step", 100)
    key = f"{label}/{seed}/{lag}/{sorted(more.items())}"
    base = {"key": key, "label": label, "cell": label.split(", ")[0], "init": "torch", "task": "recall", "depth": 1}
    base |= {"hidden": 32, "trained_lag": lag, "train_lags": train_lags, "seed": seed, "status": status} | more
    rows = [base | {"measure": "training", "step": step, "lag": -1, "statistic": "updates", "value": float(step)}]
    for at, skill in values.items():
        accuracy = CHANCE + (1 - CHANCE) * skill
        scores = {"skill": skill, "accuracy": accuracy, "chance_accuracy": CHANCE, "loss": 1 - skill}
        rows += [
            base | {"measure": "retention", "step": step, "lag": at, "statistic": name, "value": float(value)}
            for name, value in scores.items()
        ]
    return rows


def trained(successes, label="LSTM", lags=(5, 10, 20, 40), **more):
    """Trials trained at each lag; a seed succeeds at its first `successes[seed]` lags."""
    return [
        row
        for seed, count in enumerate(successes)
        for at, lag in enumerate(lags)
        for row in trial(label, seed, lag, {lag: 1.0 if at < count else 0.0}, **more)
    ]


def frame(*parts):
    return pd.DataFrame([row for part in parts for row in part])


def test_success_is_counted_at_the_training_lag():
    table = tables.success_by_lag(frame(trained([4, 2, 3, 2])))
    assert list(table.columns) == [
        *("label", "lag", "trials", "successes", "diverged", "rate", "low", "high", "isotonic"),
    ]
    assert table["lag"].tolist() == [5, 10, 20, 40]
    assert table["successes"].tolist() == [4, 4, 2, 1]
    assert table["trials"].tolist() == [4] * 4
    assert table["rate"].tolist() == [1, 1, 0.5, 0.25]
    assert list(zip(table["low"], table["high"], strict=True)) == [stats.wilson(k, 4) for k in (4, 4, 2, 1)]
    assert table["isotonic"].tolist() == pytest.approx([1, 1, 0.5, 0.25])


def test_a_diverged_trial_fails_and_is_never_dropped():
    good = trained([2, 2])
    lost = trial("LSTM", 2, 5, {5: math.nan}, status="diverged") + trial("LSTM", 2, 10, {}, status="diverged")
    flattering = trial("LSTM", 2, 20, {20: 1.0}, status="diverged") + trial("LSTM", 2, 40, {40: 1.0}, status="diverged")
    scores = frame(good, lost, flattering)
    success = tables.success_by_lag(scores)
    assert success["trials"].tolist() == [3] * 4
    assert success["successes"].tolist() == [2, 2, 0, 0]
    assert success["diverged"].tolist() == [1] * 4
    row = tables.trainability(scores).iloc[0]
    assert (row["seeds"], row["trainings"], row["diverged"]) == (3, 12, 4)
    assert 10 <= row["estimate"] <= 20


def test_a_diverged_net_retains_nothing():
    lags = dict.fromkeys((1, 2, 4), 1.0)
    scores = frame(
        trial("A", 0, 4, lags, train_lags="uniform 1-4"),
        trial("A", 1, 4, dict.fromkeys(lags, math.nan), train_lags="uniform 1-4", status="diverged"),
        trial("A", 2, 4, {}, train_lags="uniform 1-4", status="diverged"),
    )
    curves = tables.retention_curves(scores)
    assert len(curves) == 9
    assert curves.loc[curves["seed"] > 0, "skill"].tolist() == [0.0] * 6
    assert curves.loc[curves["seed"] == 1, "accuracy"].tolist() == [CHANCE] * 3
    assert curves["median_skill"].tolist() == [0.0] * 9
    row = tables.retention_horizons(scores).iloc[0]
    assert (row["horizon"], row["bound"], row["diverged"]) == ("below 1 (all 3: up to beyond 4)", "below", 2)


def test_the_last_step_counts():
    early = [row | {"step": 50, "value": 1.0} for row in trial("A", 0, 5, {5: 0.0})]
    scores = frame(early, trial("A", 0, 5, {5: 0.0}))
    assert tables.success_by_lag(scores)["successes"].tolist() == [0]


def test_the_statistic_success_takes_precedence_over_skill():
    rows = trial("A", 0, 5, {5: -2.0})  # confident and right in most answers: bad loss, good accuracy
    verdict = [rows[1] | {"statistic": "success", "value": 1.0}]
    right = [row | {"value": 0.9} if row["statistic"] == "accuracy" else row for row in rows]
    assert tables.success_by_lag(frame(rows))["successes"].tolist() == [0]
    assert tables.success_by_lag(frame(rows, verdict))["successes"].tolist() == [1]
    assert tables.success_by_lag(frame(right))["successes"].tolist() == [1]
    skill_only = [row | {"value": 0.5} for row in rows if row["statistic"] in ("skill", "updates")]
    assert tables.success_by_lag(frame(skill_only))["successes"].tolist() == [1]


def test_the_order_of_the_rows_does_not_matter():
    scores = frame(trained([4, 2, 3], "B"), trained([1, 2, 0], "A"))
    shuffled = scores.sample(frac=1, random_state=3)
    for make in (tables.success_by_lag, tables.trainability, tables.success_curves, tables.comparisons):
        pd.testing.assert_frame_equal(make(scores), make(shuffled))
    assert tables.trainability(shuffled)["label"].tolist() == ["A", "B"]


def test_a_missing_value_is_a_group_of_its_own():
    scores = frame(trained([2, 3], "LSTM", nonlinearity=None), trained([2, 2], "RNN tanh", nonlinearity="tanh"))
    table = tables.trainability(scores, ["nonlinearity"])
    assert table["seeds"].tolist() == [2, 2]
    assert set(table["nonlinearity"].dropna()) == {"tanh"}


def test_groups_keep_their_types():
    scores = frame(trained([2, 3], depth=1), trained([1, 2], depth=2))
    table = tables.trainability(scores, ["label", "depth"])
    assert table["depth"].tolist() == [1, 2]
    assert table["depth"].dtype == np.int64
    assert table["label"].dtype == scores["label"].dtype


def test_the_grid_has_a_row_for_each_combination():
    parts = [trained([count] * 2, cell, depth=depth) for cell, count in (("A", 3), ("B", 1)) for depth in (1, 2)]
    grid = tables.horizon_grid(frame(*parts))
    assert list(grid.columns[:3]) == ["depth", "cell", "seeds"]
    assert grid["depth"].tolist() == [1, 1, 2, 2]
    assert grid["estimate"].tolist() == pytest.approx([math.sqrt(20 * 40), math.sqrt(5 * 10)] * 2)
    assert grid["horizon"].str.split(" (", regex=False).str[0].tolist() == ["28", "7.1"] * 2
    joined = tables.horizon_grid(frame(*parts), column=["cell", "init"])
    assert joined["cell, init"].tolist() == ["A, torch", "B, torch"] * 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: tables.trainability(s, ["lable"]), "no column 'lable', did you mean 'label'"),
        (lambda s: tables.trainability(s, ["task"]), "group task recall two trials share seed 0 and lag 5"),
        (lambda s: tables.retention_horizons(s), "group A two trials share seed 0: select fewer"),
        (lambda s: tables.trainability(s, ["label", "seed"]), "got \\['seed'\\]"),
        (lambda s: tables.trainability(s, []), "by must name columns"),
        (lambda s: tables.trainability(s.drop(columns="status")), "no column 'status'"),
        (lambda s: tables.trainability(s[s["measure"] == "training"]), "measure retention"),
        (lambda s: tables.trainability(s.assign(train_lags="uniform 1-9")), "no trial was trained at one fixed lag"),
        (lambda s: tables.trainability(s.assign(trained_lag=7)), "not tested at their training lag"),
        (
            lambda s: tables.trainability(s[(s["measure"] == "training") | (s["seed"] > 0)]),
            "finished trials have no retention",
        ),
        (lambda s: tables.trainability(pd.concat([s, s])), "are duplicates"),
        (lambda s: tables.comparisons(s, within=["labl"]), "did you mean 'label'"),
        (lambda s: tables.choices(s), "no column 'role'"),
        (lambda s: tables.choices(s.assign(role="judged", tuned="clip 1")), "no setting was tuned"),
    ],
)
def test_an_unusable_frame_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make(frame(trained([2, 3], "A"), trained([1, 2], "B")))


def test_equal_tables_give_equal_bytes(tmp_path):
    table = pd.DataFrame(
        {
            "label": ["a, b", "c"],
            "lag": [5, 1_000_000],
            "p": [1 / 3, -0.0],
            "high": [math.inf, math.nan],
            "ok": [True, False],
        }
    )
    tables.write_csv(table, tmp_path / "one.csv")
    noisy = table.assign(p=[1 / 3 + 1e-15, 0.0])
    tables.write_csv(noisy, tmp_path / "two.csv")
    expected = b'label,lag,p,high,ok\n"a, b",5,0.333333,inf,True\nc,1000000,0,,False\n'
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes() == expected
    assert math.copysign(1, table["p"].iloc[1]) == -1  # the caller's table is as it was
