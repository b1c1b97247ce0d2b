"""Shares, medians and findings of the scripts of claims."""

from __future__ import annotations

import pandas as pd
import pytest

from farback.report.claim_scripts import Middle, Share, answered, chosen, middle, share

OUTCOMES = pd.DataFrame(
    {
        "label": ["GRU"] * 4 + ["LSTM"],
        "skill": [0.2, 0.6, 0.9, 0.7, 0.4],
        "passed": [False, True, True, True, False],
        "loss": [0.8, 0.4, float("nan"), 0.3, 0.6],
    }
)


def test_a_share_has_its_wilson_interval() -> None:
    one = Share(9, 10)
    assert one.interval == pytest.approx((0.5958, 0.9821), abs=5e-5)
    assert str(one) == "9 of 10 (60 to 98 %)"
    assert (Share(5, 10).most, Share(4, 10).most) == (True, False)


def test_medians_with_intervals_as_text_and_compared() -> None:
    low, high = Middle.of([1.0, 2.0, 3.0, 4.0]), Middle.of([5.0, 6.0, 7.0])
    assert (low.value, low.interval) == (2.0, (1.0, 4.0))
    assert high.above(low)
    assert not Middle.of([3.0, 9.0]).above(low)
    assert str(Middle(1500.0, 1254.4, float("inf"))) == "1500 (1254 to inf)"
    assert str(Middle(0.00614, 2.64e-05, 0.0129)) == "0.0061 (0.0000 to 0.0129)"
    assert str(Middle(-0.00001, -0.00004, 0.00002)) == "0.0000 (0.0000 to 0.0000)"  # and not -0
    assert str(Middle(0.031, -0.0056, 0.996)) == "0.031 (-0.006 to 0.996)"
    assert str(Middle(14.14, 10.0, 20.0)) == "14 (10 to 20)"


def test_shares_and_medians_of_selected_rows() -> None:
    assert share(OUTCOMES, label="GRU") == Share(3, 4)
    assert share(OUTCOMES, 0.65, label="GRU") == Share(2, 4)
    assert middle(OUTCOMES, label="GRU").value == 0.6
    assert middle(OUTCOMES, "loss", label="GRU").high == float("inf")  # the one that diverged
    with pytest.raises(ValueError, match=r"no trial has \{'label': 'minGRU'\}"):
        chosen(OUTCOMES, label="minGRU")


@pytest.mark.parametrize(
    ("confirmed", "refuted", "verdict"),
    [(True, False, "confirmed"), (False, True, "refuted"), (False, False, "depends on luck")],
)
def test_a_finding_names_what_it_depends_on_only_if_it_depends(confirmed: bool, refuted: bool, verdict: str) -> None:
    one = answered(Share(9, 10), "share of seeds", confirmed, refuted, "luck", "10 seeds")
    assert one.verdict_text == verdict
    assert (one.value, one.number) == (0.9, "9 of 10 (60 to 98 %)")
    several = answered("9 of 10 and 2 of 10", "", confirmed, refuted, "luck", "10 seeds")
    assert (several.value, several.low, several.high) == (None, None, None)
