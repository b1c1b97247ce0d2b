"""Names say which number is what."""

import numpy as np
import pytest

from farback.records.setting_text import group_text, setting_text


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("hidden", 8, "hidden 8"),
        ("hidden", np.float64(8.0), "hidden 8"),
        ("optimizer.lr", 0.003, "lr 0.003"),
        ("steps", 2_000_000.0, "steps 2000000"),
        ("train_lags", "log-uniform 1-80", "train lags log-uniform 1-80"),
        ("task.name", "recall", "task recall"),
        ("clip", None, "clip none"),
        ("clip", float("nan"), "clip none"),
        ("bias", np.False_, "bias false"),
        ("measures", "retention, probe", "measures (retention, probe)"),
    ],
)
def test_a_setting_has_the_word_for_its_column(column, value, text):
    assert setting_text(column, value) == text


def test_a_group_is_named_by_its_label_and_its_settings():
    assert group_text({"label": "LSTM, chrono", "hidden": 8, "batch": 64}) == "LSTM, chrono, hidden 8, batch 64"
    assert group_text({"cell": "GRU", "init": "torch", "depth": 2}) == "GRU, depth 2"
    assert group_text({"label": "GRU, chrono", "cell": "GRU", "init": "chrono"}) == "GRU, chrono"
    assert group_text({"init": "torch"}) == "PyTorch's start"


def test_fields_of_one_name_are_told_apart_by_their_component():
    assert group_text({"label": "A", "cell.gain": 2, "init.gain": 1}) == "A, cell gain 2, init gain 1"
