"""Decode the cue from states: linear discriminant analysis of symbols, ridge regression of numbers, in closed form.

Each half of the sequences is decoded by a probe fitted to the other half. The probe sees states to a finite resolution:
noise is added to them, because without noise the smallest difference could be decoded.

Shapes: B sequences, S numbers of the state, C cues, D directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from farback.measures.base import Floats
from farback.system.random_streams import stream

MOST = 8  # symbols that are told apart; sequences with others are left out
SMALLEST = 1e-24  # variance: keeps the equations solvable where nothing varies


def decoded(state_BS: Floats, cue_B: NDArray[Any], cues: int, noise: float, seed: int = 0) -> Floats:
    """What each sequence adds to the score of the probe, (B,); nan if left out. The mean is 0 at chance, 1 if perfect.

    Args:
        cue_B: numbers of the symbols, or values if `cues` is 0.
        noise: standard deviation of the noise that is added to every number of the state.
    """
    rng = stream(seed, "measure", "diagnosis", "probe")
    state_BS = state_BS + noise * rng.standard_normal(state_BS.shape)
    half_B = rng.permutation(len(state_BS)) % 2 == 0
    value_B = np.full(len(state_BS), np.nan)
    kept_B = np.ones(len(cue_B), bool)
    if cues:
        often = np.argsort(-np.bincount(cue_B, minlength=cues), kind="stable")[:MOST]
        kept_B = np.isin(cue_B, often)
        cue_B = np.searchsorted(np.sort(often), cue_B)
    for test_B in (half_B & kept_B, ~half_B & kept_B):
        fit_B = kept_B & ~test_B
        one = _symbols if cues else _numbers
        value_B[test_B] = one(state_BS[fit_B], cue_B[fit_B], state_BS[test_B], cue_B[test_B], min(cues, MOST))
    return value_B


def _symbols(fit_NS: Floats, cue_N: NDArray[Any], test_MS: Floats, true_M: NDArray[Any], cues: int) -> Floats:
    mean_CS = np.stack(
        [fit_NS[cue_N == c].mean(0) if (cue_N == c).any() else np.zeros(fit_NS.shape[1]) for c in range(cues)]
    )
    weight_SC = np.linalg.solve(_covariance(fit_NS - mean_CS[cue_N]), mean_CS.T)
    score_MC = test_MS @ weight_SC - 0.5 * (mean_CS.T * weight_SC).sum(0)
    score_MC[:, np.bincount(cue_N, minlength=cues) == 0] = -np.inf
    return np.asarray(((score_MC.argmax(1) == true_M) - 1 / cues) / (1 - 1 / cues))


def _numbers(fit_NS: Floats, cue_N: Floats, test_MS: Floats, true_M: Floats, cues: int) -> Floats:
    mean_S, mean = fit_NS.mean(0), cue_N.mean()
    slope_S = np.linalg.solve(_covariance(fit_NS - mean_S), (fit_NS - mean_S).T @ (cue_N - mean) / len(cue_N))
    off_M = true_M - mean - (test_MS - mean_S) @ slope_S
    return np.asarray(1 - off_M**2 / np.square(true_M - true_M.mean()).mean())


def _covariance(centred_NS: Floats) -> Floats:
    """Shrunk towards equal variances, the more the fewer sequences there are for each number of the state."""
    N, S = centred_NS.shape
    covariance_SS = centred_NS.T @ centred_NS / N
    shrunk = S / (S + N)
    return np.asarray((1 - shrunk) * covariance_SS + np.eye(S) * (shrunk * np.trace(covariance_SS) / S + SMALLEST))
