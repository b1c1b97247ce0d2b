"""Train on short lags, test on long ones: the retention of networks by the lag that they were trained at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farback.measures.base import Floats
from farback.measures.retention import Retention, retention
from farback.measures.support.numbers import whole_numbers
from farback.tasks.base import Task

Length = int | tuple[int, int]  # one training lag, or the first and last of a range of training lags


@dataclass(frozen=True)
class LengthMatrix:
    """Scores of N networks, each trained at its own lag or lags (rows), tested at L lags (columns).

    Attributes:
        trained: the training lag or lags of each row, as passed by the caller.
        longest: the largest training lag of each row.
        lag: test lags, increasing.
        accuracy_NL: share of correct answers.
        skill_NL: 0 = chance, 1 = perfect.
        remembered_NL: whether the score is at least half-way from chance to perfect.
        rows: the retention of each network.
    """

    trained: tuple[Length, ...]
    longest: NDArray[np.int64]
    lag: NDArray[np.int64]
    accuracy_NL: Floats
    skill_NL: Floats
    remembered_NL: NDArray[np.bool_]
    rows: tuple[Retention, ...]

    @property
    def extrapolation(self) -> Floats:
        """`Retention.extrapolation` of each row: the lag before the first failure, divided by the longest trained."""
        return np.array([row.extrapolation(longest) for row, longest in zip(self.rows, self.longest, strict=True)])

    @property
    def beyond(self) -> Floats:
        """Mean accuracy over the test lags above the largest training lag, for each row; nan if there are none."""
        return np.array([row.beyond(longest) for row, longest in zip(self.rows, self.longest, strict=True)])

    @property
    def within(self) -> NDArray[np.bool_]:
        """Whether all tested lags up to the largest training lag are remembered, for each row."""
        return np.array([row.within(longest) for row, longest in zip(self.rows, self.longest, strict=True)])


def length_matrix(
    systems: Mapping[Length, Any], task: Task, lags: Sequence[int], sequences: int = 1000, seed: int = 0
) -> LengthMatrix:
    """Test every network at every lag, on the same test sequences.

    Args:
        systems: networks (`farback.measures.support.system`) by training lag, or by (smallest, largest) training lag.
        task: the task they were trained on; its own lag has no effect.
        lags: test lags; include short ones, as a network can fail below the lag it was trained at.
        sequences: number of sequences per lag.

    Raises:
        ValueError: no networks, a training lag below 1, or as `retention`.

    Source: Deletang et al. 2023 (2207.02098), who report `beyond`.
    """
    longest = [max(whole_numbers("systems", key)) for key in systems]
    if not systems or min(longest) < 1:
        raise ValueError(f"systems must be networks by the lag they were trained at, 1 or more; got {list(systems)}")
    rows = tuple(retention(system, task, lags, sequences, seed) for system in systems.values())
    return LengthMatrix(
        tuple(systems),
        np.array(longest),
        rows[0].lag,
        np.stack([row.accuracy for row in rows]),
        np.stack([row.skill for row in rows]),
        np.stack([row.remembered for row in rows]),
        rows,
    )
