"""Evidence for a statement: whether it is true of the trained seeds, and whether that is significant."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Protocol

SIGNIFICANT = 0.05  # the largest p-value that counts as significant; the intervals are 95 % intervals


class Estimate(Protocol):
    """A number from a sample of seeds: its value, and the two ends of its 95 % interval."""

    @property
    def value(self) -> float:
        """The number itself."""

    @property
    def limits(self) -> tuple[float, float]:
        """The two ends of its interval."""


@dataclass(frozen=True)
class Evidence:
    """Whether a statement is true of the trained seeds, and whether that is significant at the 5 % level.

    `true` is None where that is not known: the numbers are nan, or both lie beyond what was tried.

    Statements are joined by `&`, `|` and `~`. A joint statement is significant where its significant parts decide it:
    `a & b` where both are true and significant, or where one of them is false and significant.
    """

    true: bool | None
    significant: bool

    @property
    def holds(self) -> bool:
        """The statement is true and significant."""
        return self.true is True and self.significant

    @property
    def fails(self) -> bool:
        """The statement is false and significant."""
        return self.true is False and self.significant

    def __and__(self, other: Evidence) -> Evidence:
        decided = (self.holds and other.holds) or self.fails or other.fails
        false = self.true is False or other.true is False
        unknown = self.true is None or other.true is None
        return Evidence(False if false else None if unknown else True, decided)

    def __or__(self, other: Evidence) -> Evidence:
        return ~(~self & ~other)

    def __invert__(self) -> Evidence:
        return Evidence(None if self.true is None else not self.true, self.significant)

    def __bool__(self) -> bool:
        raise TypeError("evidence is not a bool: join it with &, | and ~, or ask for .holds, .fails or .true")


def above(a: Estimate | float, b: Estimate | float) -> Evidence:
    """Whether a > b; significant where the whole interval of `a` lies on one side of that of `b`.

    An infinite end stands for an unknown number beyond what was tried: two of them have no order.
    """
    (value_a, low_a, high_a), (value_b, low_b, high_b) = _ends(a), _ends(b)
    if low_a > high_b or (high_a <= low_b and math.isfinite(high_a)):
        return Evidence(low_a > high_b, True)
    return Evidence(value_a > value_b if _have_order(value_a, value_b) else None, False)


def at_least(a: Estimate | float, b: Estimate | float) -> Evidence:
    """Whether a >= b; significant as `above`."""
    (value_a, low_a, high_a), (value_b, low_b, high_b) = _ends(a), _ends(b)
    if (low_a >= high_b and math.isfinite(high_b)) or high_a < low_b:
        return Evidence(low_a >= high_b, True)
    return Evidence(value_a >= value_b if _have_order(value_a, value_b) else None, False)


def below(a: Estimate | float, b: Estimate | float) -> Evidence:
    """Whether a < b; significant as `above`."""
    return above(b, a)


def at_most(a: Estimate | float, b: Estimate | float) -> Evidence:
    """Whether a <= b; significant as `above`."""
    return at_least(b, a)


def tested(true: bool, p: float) -> Evidence:
    """A statement with the p-value of a test of the opposite; a nan is not significant."""
    return Evidence(bool(true), bool(p < SIGNIFICANT))


def exact(true: bool) -> Evidence:
    """A statement about numbers without sampling error: a theorem, arithmetic, or a single counterexample."""
    return Evidence(bool(true), True)


def all_of(statements: Iterable[Evidence]) -> Evidence:
    """Whether every statement is true; of no statements, that is exactly true."""
    return reduce(and_, statements, exact(True))


def any_of(statements: Iterable[Evidence]) -> Evidence:
    """Whether at least one statement is true; of no statements, that is exactly false."""
    return reduce(or_, statements, exact(False))


def _have_order(a: float, b: float) -> bool:
    """Whether two numbers can be compared: none is nan, and not both are infinite."""
    return not (math.isnan(a) or math.isnan(b) or (math.isinf(a) and math.isinf(b)))


def _ends(number: Estimate | float) -> tuple[float, float, float]:
    """The value and the two ends of the interval."""
    if isinstance(number, (int, float)):
        return float(number), float(number), float(number)
    low, high = number.limits
    return number.value, low, high
