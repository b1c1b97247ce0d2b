"""Shares, medians and findings of the scripts of claims."""

from __future__ import annotations

import pandas as pd
import pytest
import scipy.stats

from farback.report.claim_scripts import Middle, Share, answered, chosen, middle, share
from farback.report.evidence import Evidence, above, exact

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
    assert (Share(5, 10).most.true, Share(4, 10).most.true) == (True, False)
    assert (Share(5, 5).most.holds, Share(4, 5).most.holds, Share(0, 5).most.fails) == (True, False, True)


def test_every_and_none_are_refuted_by_one_seed_and_need_five() -> None:
    assert Share(5, 5).every.holds
    assert Share(4, 5).every.fails
    assert (Share(3, 3).every.true, Share(3, 3).every.significant) == (True, False)
    assert Share(0, 10).none.holds
    assert Share(1, 10).none.fails


def test_two_shares_are_compared_by_fishers_exact_test() -> None:
    for a, b in ((5, 2), (5, 1), (5, 0), (3, 3)):
        p = scipy.stats.fisher_exact([[a, 5 - a], [b, 5 - b]]).pvalue
        assert Share(a, 5).difference_p(Share(b, 5)) == pytest.approx(p)
    assert not Share(5, 5).more_often(Share(2, 5)).significant  # p = .17
    assert Share(5, 5).more_often(Share(1, 5)).holds  # p = .048


def test_medians_with_intervals_as_text_and_compared() -> None:
    low, high = Middle.of([1.0, 2.0, 3.0, 4.0]), Middle.of([5.0, 6.0, 7.0])
    assert (low.value, low.interval) == (2.0, (1.0, 4.0))
    assert not above(high, low).significant  # three and four seeds are too few for an interval
    five = Middle.of([1.0, 2.0, 3.0, 4.0, 4.5])
    assert above(Middle.of([5.0, 6.0, 7.0, 8.0, 9.0]), five).holds
    assert not above(Middle.of([3.0, 6.0, 7.0, 8.0, 9.0]), five).significant
    assert Middle.of([5.0] * 5).minus(five).interval == (0.5, 4.0)
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


TRUE, FALSE, LIKELY = exact(True), exact(False), Evidence(True, False)


@pytest.mark.parametrize(
    ("confirmed", "refuted", "depends", "verdict"),
    [
        (TRUE, FALSE, FALSE, "confirmed"),
        (FALSE, TRUE, FALSE, "refuted"),
        (FALSE, FALSE, TRUE, "depends on luck"),
        (FALSE, FALSE, FALSE, "inconclusive: few seeds"),
        (LIKELY, FALSE, FALSE, "inconclusive: few seeds"),
    ],
)
def test_a_verdict_needs_a_condition_that_is_true_and_significant(
    confirmed: Evidence, refuted: Evidence, depends: Evidence, verdict: str
) -> None:
    rule = {"confirmed": confirmed, "refuted": refuted, "depends": depends}
    one = answered(Share(9, 10), "share of seeds", "10 seeds", **rule, on="luck", reason="few seeds")
    assert one.verdict_text == verdict
    assert (one.value, one.number) == (0.9, "9 of 10 (60 to 98 %)")
    several = answered("9 of 10 and 2 of 10", "", "10 seeds", **rule, on="luck", reason="few seeds")
    assert (several.value, several.low, several.high) == (None, None, None)


def test_a_rule_with_two_conditions_that_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="confirmed and refuted hold both"):
        answered("1", "", "1 seed", confirmed=TRUE, refuted=TRUE)
