"""How many replicas train as one cohort: enough that what an update costs by itself is a small part of it."""

from __future__ import annotations

from farback.trial import Trial


def width(trial: Trial) -> int:
    """The most replicas of a cohort of such trials."""
    return 10
