"""Sustained success: the rule by which a network has learned its lag, and a training may stop."""

from __future__ import annotations

from collections.abc import Iterable

SOLVED_SKILL = 0.9  # sustained success is this validation skill...
SUSTAINED = 3  # ...at this many evaluations in a row


def first_success(evaluations: Iterable[tuple[int, float]]) -> int | None:
    """The number of updates at the first evaluation of a sustained success; None if there is none.

    Args:
        evaluations: updates and validation skill of each, in the order of training.
    """
    successes: list[int] = []
    for updates, skill in evaluations:
        successes = [*successes, int(updates)] if skill >= SOLVED_SKILL else []
        if len(successes) == SUSTAINED:
            return successes[0]
    return None
