"""Tables and texts of why networks fail, of made-up trials whose causes are known."""

import math

import pandas as pd
import pytest

from farback import stats, tables
from farback.measures.diagnosis import CAUSES
from farback.report.diagnosis_parts import diagnosed, diagnosis_sentence
from farback.tables.diagnoses import CAUSES as NAMES
from made_up_scores import rows_of


def trial(seed, lag, label="GRU", step=None, apart=None, noise=False, **shares):
    values = [("diagnosis", 500, lag, f"share_{name}", share) for name, share in shares.items()]
    values += [("diagnosis", 500, lag, "step", step)] * (step is not None)
    values += [("diagnosis", 500, lag, "distinguishability", apart)] * (apart is not None)
    values += [("diagnosis", 500, lag, "not_learnable", 1.0)] * noise
    return rows_of(label, seed, values, train_lags="fixed", trained_lag=lag)


@pytest.fixture(scope="module")
def scores():
    rows = trial(0, 10, none=1.0, apart=9.0) + trial(1, 10, decays=1.0, step=4, apart=0.5)
    rows += trial(0, 20, decays=0.5, not_read=0.5, step=4, noise=True) + trial(
        1, 20, decays=0.7, drifts=0.3, step=8, apart=0.1
    )
    rows += trial(2, 20, unknown=1.0, apart=0.2) + trial(0, 10, "LSTM", none=1.0)
    return pd.DataFrame(rows)


def test_the_table_has_the_mean_shares_of_the_seeds_that_fail(scores):
    found = tables.diagnoses(scores).set_index(["label", "lag"])
    ten, twenty, lstm = found.loc[("GRU", 10)], found.loc[("GRU", 20)], found.loc[("LSTM", 10)]
    assert (ten["seeds"], ten["fails"], ten["unknown"], ten["decays"], ten["step"]) == (2, 1, 0, 1.0, 4)
    assert ten["distinguishability"] == stats.median([0.5, 9.0])
    assert (twenty["seeds"], twenty["fails"], twenty["unknown"]) == (3, 3, 1)
    assert twenty[list(NAMES)].sum() == pytest.approx(1.0)
    assert (ten["not_learnable"], twenty["not_learnable"]) == (0, 1)
    assert (twenty["decays"], twenty["not_read"], twenty["drifts"]) == pytest.approx((0.6, 0.25, 0.15))
    assert twenty["step"] == stats.median([4, 8])
    assert lstm["fails"] == 0
    assert math.isnan(lstm["decays"])


def test_the_page_lists_causes_by_their_share_over_all_lags(scores):
    text = diagnosed(scores).shown.set_index("network")
    assert text.loc["GRU", "fails at lags"] == "10 to 20"
    assert text.loc["GRU", "networks that fail"] == "4/5"
    assert text.loc["GRU", "why"] == "decays 73 %, not read 17 %, drifts 10 %"  # (1 + .5 + .7) / 3
    assert text.loc["GRU", "cause unknown"] == "1"
    assert text.loc["GRU", "gradient is noise"] == "1/4"
    assert text.loc["LSTM", "why"] == ""
    assert diagnosis_sentence(diagnosed(scores).frame, ["label"]).startswith("Why networks fail: GRU: decays 73 %")


def test_the_table_knows_every_cause():
    assert (*NAMES, "not_learnable") == CAUSES


def test_networks_trained_on_mixed_lags_have_rows_of_their_own(scores):
    mixed = scores.assign(train_lags="log-uniform 1-20", key=scores["key"] + "m")
    rows = diagnosed(pd.concat([scores, mixed])).shown.set_index(["network", "train_lags"])
    assert rows.loc[("GRU", "fixed"), "networks that fail"] == "4/5"
    assert rows.loc[("GRU", "log-uniform 1-20"), "networks that fail"] == "4/5"
