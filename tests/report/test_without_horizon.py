"""Networks that have no horizon: a page with their validation scores, and no horizon."""

import math
from statistics import median

import pandas as pd
import pytest

from farback import tables
from farback.report import groups, standard
from made_up_scores import rows_of

SETTINGS = {"batch": 32, "steps": 500, "optimizer.name": "adam", "optimizer.lr": 0.003, "stop": "sustained"}


def trained(label, seed, lag, *, skill=0.5, measured=(), train_lags="fixed", status="finished"):
    """A training of 500 updates; `measured` has the lag and the update of each retention test, which all pass."""
    values = [("valid", step, -1, "skill", skill * step / 500) for step in (100, 500)]
    values += [("retention", step, at, name, 1.0) for at, step in measured for name in ("skill", "success")]
    return rows_of(label, seed, values, train_lags, lag, status, measures="made up", **SETTINGS)


def frame(*trainings):
    return pd.DataFrame([row for rows in trainings for row in rows])


LAG_ZERO = [trained("GRU", seed, 0, measured=[(0, 500)]) for seed in range(3)]
NOT_MEASURED = [trained("LSTM", seed, lag) for seed in range(2) for lag in (1, 2)]
BEFORE_THE_END = [trained("MGU", seed, 2, measured=[(2, 0), (2, 100)]) for seed in range(2)]
MIXED = [trained("LEM", seed, 8, train_lags="uniform 1-8") for seed in range(2)]
TESTED = [trained("RNN", seed, lag, measured=[(lag, 500)]) for seed in range(2) for lag in (1, 2)]


@pytest.mark.parametrize("trainings", [LAG_ZERO, NOT_MEASURED, BEFORE_THE_END, MIXED])
def test_what_has_no_horizon_gets_a_page_without_one(trainings):
    scores = frame(*trainings)
    analysis = standard(scores)
    assert not tables.has_horizon(scores).any()
    assert [part.name for part in analysis.parts] == ["without_horizon"]
    assert (analysis.metrics, analysis.tags) == ({}, {})
    assert analysis.headline.startswith("No horizon, because retention was not measured after training at a lag above")
    assert analysis.tables[0].shown["validation skill"].iloc[0].startswith("0.5")


def test_networks_with_a_horizon_keep_it_beside_others():
    scores = frame(*TESTED, *LAG_ZERO, *NOT_MEASURED, *BEFORE_THE_END, *MIXED)
    alone, analysis = standard(frame(*TESTED)), standard(scores)
    pd.testing.assert_frame_equal(analysis.tables[0].frame, alone.tables[0].frame)
    assert analysis.metrics == alone.metrics
    assert set(analysis.tables[-1].frame["label"]) == {"GRU", "LSTM", "MGU", "LEM"}
    assert "No horizon" in analysis.headline
    assert analysis.headline.endswith("above 0: GRU; LEM; LSTM; MGU.")


def test_lag_zero_beside_longer_lags_is_part_of_the_horizon():
    scores = frame(*TESTED, *(trained("RNN", seed, 0, measured=[(0, 500)]) for seed in range(2)))
    assert tables.has_horizon(scores).all()
    assert list(standard(scores).figures[0].frame["lag"]) == [0, 1, 2]


def test_a_diverged_training_counts_where_others_were_tested():
    lost = trained("RNN", 7, 2, status="diverged")
    assert tables.has_horizon(frame(*TESTED, lost)).all()
    assert not tables.has_horizon(frame(*LAG_ZERO, trained("GRU", 7, 0, status="diverged"))).any()


def test_retention_before_the_end_is_not_the_result_of_training():
    with pytest.raises(ValueError, match="retention"):
        tables.trainability(frame(*BEFORE_THE_END))
    again = trained("MGU", 9, 2, measured=[(2, 0), (2, 500)])
    assert tables.has_horizon(frame(*BEFORE_THE_END, again)).sum() == len(again)


def test_the_validation_skill_is_the_last_one_and_the_median_over_seeds():
    skills = [0.1, 0.4, 0.3, 0.2, 0.9]
    alike = [trained("GRU", seed, 3, skill=skill) for seed, skill in enumerate(skills)]
    other = [trained("GRU", 0, 4, skill=0.7), trained("GRU", 1, 4, skill=0.6, status="diverged")]
    table = tables.last_evaluations(frame(*alike, *other))
    assert list(table["trained"]) == ["3", "4"]
    first, second = table.to_dict("records")
    assert (first["median"], first["low"], first["high"]) == (median(skills), min(skills), max(skills))
    assert (first["trials"], first["diverged"]) == (5, 0)
    assert (second["trials"], second["low"], second["high"], second["diverged"]) == (2, 0.0, 0.7, 1)


def test_a_network_that_was_never_evaluated_has_no_skill():
    rows = rows_of("GRU", 0, [("lyapunov", 0, 0, "exponent", -1.0)], "fixed", 3, **SETTINGS)
    assert math.isnan(tables.last_evaluations(pd.DataFrame(rows))["median"].iloc[0])
    assert standard(pd.DataFrame(rows)).tables[0].shown["validation skill"].iloc[0] == "not evaluated"


def test_a_setting_that_a_network_lacks_is_none_in_every_table():
    scores = frame(*LAG_ZERO)
    scores = pd.concat([scores.assign(clip=None), scores.assign(clip=1.0, key=scores["key"] + "clipped")])
    assert groups(scores) == ["label", "clip"]
    assert list(standard(scores).tables[0].shown["clip"]) == ["1", "none"]
