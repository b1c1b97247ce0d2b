"""Evidence is joined as in three-valued logic, and a verdict needs it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest

from farback.report import Evidence, above, all_of, any_of, at_least, at_most, below, exact, held
from farback.report import tested as by_p_value
from farback.report.claim_scripts import Middle

KNOWN = {True: exact(True), False: exact(False)}
OPEN = [Evidence(True, False), Evidence(False, False), Evidence(None, False)]


def worlds(one: Evidence) -> set[bool]:
    """What a statement may be: what it is where it is significant, else either."""
    return {one.true} if one.significant else {True, False}


def seen(one: Evidence) -> set[bool]:
    """What a statement may be of the trained seeds: either where that is not known."""
    return {True, False} if one.true is None else {one.true}


@pytest.mark.parametrize(("a", "b"), list(itertools.product([*KNOWN.values(), *OPEN], repeat=2)))
def test_a_joint_statement_is_significant_where_all_possible_worlds_agree(a: Evidence, b: Evidence) -> None:
    for joint, join in ((a & b, lambda x, y: x and y), (a | b, lambda x, y: x or y)):
        possible = {join(x, y) for x in worlds(a) for y in worlds(b)}
        assert joint.significant == (len(possible) == 1)
        true = {join(x, y) for x in seen(a) for y in seen(b)}
        assert joint.true == (true.pop() if len(true) == 1 else None)
    assert worlds(~a) == {not x for x in worlds(a)}
    assert (all_of([a, b]), any_of([a, b])) == (a & b, a | b)


def test_intervals_decide_a_comparison_where_they_do_not_overlap() -> None:
    one = Middle(3.0, 2.0, 4.0)
    assert above(one, 1.9).holds
    assert above(one, 4.0).fails
    assert above(one, 2.5) == Evidence(True, False)
    assert at_least(one, 2.0).holds
    assert not above(one, 2.0).significant
    assert below(one, Middle(6.0, 5.0, 9.0)).holds
    assert at_most(one, 4.0).holds
    unknown = Middle(math.nan, math.nan, math.nan)
    assert not any(compare(unknown, 1.0).significant for compare in (above, below, at_least, at_most))


def test_a_line_says_held_only_with_significant_evidence() -> None:
    assert held(by_p_value(True, 0.01), "it works", "p = .01") == "Held: it works (p = .01)."
    assert (
        held(by_p_value(True, 0.14), "it works", "p = .14")
        == "Held in these seeds, not significant: it works (p = .14)."
    )
    assert held(by_p_value(False, 0.01), "it works") == "**Refuted**: that it works."
    assert held(by_p_value(False, 0.9), "it works") == "Refuted in these seeds, not significant: that it works."
    assert held(True, "it works") == "Held in these seeds, not tested: it works."


@pytest.mark.parametrize("compare", [above, at_least, at_most, below])
def test_what_cannot_be_compared_is_not_decided(compare: Callable[[Middle, Middle], Evidence]) -> None:
    """A quotient of two bounds is nan, and two horizons beyond the lags tried have no order."""
    bound, quotient, one = Middle(math.inf, 5.0, math.inf), Middle(math.nan, 0.0, math.inf), Middle(3.0, 2.0, 4.0)
    for a, b in ((bound, bound), (quotient, one), (one, quotient)):
        assert compare(a, b).true is None
        assert held(compare(a, b), "a is longer", "4 seeds") == "Not decided: a is longer (4 seeds)."
    assert compare(bound, one) == Evidence(compare in (above, at_least), True)


def test_evidence_is_not_taken_for_a_bool() -> None:
    with pytest.raises(TypeError, match="not a bool"):
        assert exact(True)
