"""Trained short, tested long: networks by the length they were trained at, tested at every length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farback.measures.retention import Retention, retention
from farback.measures.support.regression import Floats
from farback.tasks.base import Task

Length = int | tuple[int, int]  # trained at one lag, or at all from the first to the second


@dataclass(frozen=True)
class LengthMatrix:
    """What networks trained at some lengths (rows) remember at others (columns); lengths are lags of the task.

    Attributes:
        trained: what each row was trained at, as it was given.
        longest: the largest lag each row was trained at.
        lag: test lags, increasing.
        accuracy_NL: share of right answers, rows by test lags.
        skill_NL: 0 = chance, 1 = perfect.
        remembered_NL: half-way from chance to perfect, or better.
        rows: each network's retention.
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
        """The largest lag up to which all are remembered over the largest trained at, for each row; see `Retention`."""
        return np.array([row.extrapolation(longest) for row, longest in zip(self.rows, self.longest, strict=True)])

    @property
    def beyond(self) -> Floats:
        """Mean accuracy over the lags longer than those trained at, for each row; nan where none was tested."""
        return np.array([row.beyond(longest) for row, longest in zip(self.rows, self.longest, strict=True)])

    @property
    def within(self) -> NDArray[np.bool_]:
        """Whether all tested lags up to the largest trained at are remembered, for each row."""
        return np.array([row.within(longest) for row, longest in zip(self.rows, self.longest, strict=True)])


def length_matrix(
    systems: Mapping[Length, Any], task: Task, lags: Sequence[int], sequences: int = 1000, seed: int = 0
) -> LengthMatrix:
    """Test every network at every lag, on the same fresh sequences.

    Args:
        systems: networks (`farback.measures.support.system`) by the lag they were trained at, or by
            (smallest, largest).
        task: the task they were trained on; its own lag does not matter.
        lags: test lags, shorter ones too: a net can fail below the length it was trained at.
        sequences: how many a lag.
        seed: of the test stream.

    Raises:
        ValueError: no networks, a training lag below 1, or as `retention`.

    Source: the protocol of Deletang et al. 2023 (2207.02098), whose score is `beyond`.
    """
    longest = [max(key) if isinstance(key, tuple) else key for key in systems]
    if not systems or min(longest) < 1:
        raise ValueError(f"needs networks by the lag they were trained at, 1 or more; got {list(systems)}")
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
