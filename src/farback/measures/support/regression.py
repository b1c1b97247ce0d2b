"""Linear regression of targets on states, with R2 adjusted for the number of fitted parameters.

Shapes: T samples, N numbers of the state, K targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import torch
from numpy.typing import NDArray

from farback.measures.base import Floats
from farback.measures.support.numbers import array, real, require_finite, scaled

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Span:
    """The centred column space of the states over T samples, as an orthonormal basis, (T, features)."""

    basis_TF: Floats

    @property
    def samples(self) -> int:
        """The number of samples T."""
        return int(self.basis_TF.shape[0])

    @property
    def features(self) -> int:
        """The number of linearly independent columns, at most N: the degrees of freedom of a fit."""
        return int(self.basis_TF.shape[1])

    def r2(self, target_TK: Floats) -> Floats:
        """The share of each target's variance explained by least squares with an intercept, (K,); nan if constant."""
        centred_TK = target_TK - target_TK.mean(0)
        explained_K = np.square(self.basis_TF.T @ centred_TK).sum(0)
        with np.errstate(invalid="ignore"):
            return np.asarray(explained_K / np.square(centred_TK).sum(0))

    def adjusted(self, r2: Floats) -> Floats:
        """`1 - (1 - R2)(T - 1)/(T - F - 1)`: has mean zero if target and states are independent. Not clipped."""
        return np.asarray(1 - (1 - r2) * (self.samples - 1) / (self.samples - self.features - 1))

    def null_quantile(self, probability: float) -> float:
        """The quantile of R2 for a target independent of the states: R2 ~ Beta(F/2, (T - 1 - F)/2).

        Exact for Gaussian targets and any states. Source: Cramer 1946, section 29.
        """
        if not self.features:
            return 0.0
        return float(scipy.special.betaincinv(self.features / 2, (self.samples - 1 - self.features) / 2, probability))


def span(state_TN: Floats) -> Span:
    """The column space of the states, by singular value decomposition in float64.

    Each column is scaled to unit length first. Directions that hold old inputs can be many orders of magnitude smaller
    than those of new inputs, and solving the normal equations would lose them.

    Raises:
        ValueError: fewer than N + 3 samples, which leaves less than two degrees of freedom for the residual.
    """
    T, N = state_TN.shape
    if T < N + 3:
        raise ValueError(f"{T} samples are too few to fit {N} state numbers and a constant: {N + 3} are needed")
    largest_N = np.abs(state_TN).max(0, initial=0.0)
    scaled_TN = state_TN / np.where(largest_N > 0, largest_N, 1.0)  # so that squares do not overflow
    centred_TN = scaled_TN - scaled_TN.mean(0)
    length_N = np.sqrt(np.square(centred_TN).sum(0))
    varies_N = length_N > 8 * EPS * np.sqrt(T)  # a constant column has only rounding errors left
    left_TF, value_F, _ = np.linalg.svd(centred_TN[:, varies_N] / length_N[varies_N], full_matrices=False)
    tolerance = EPS * (N + np.sqrt(T))  # singular values below this are rounding errors
    return Span(left_TF[:, value_F > tolerance * value_F.max(initial=0.0)])


def floats(name: str, values: Any, axes: int) -> Floats:
    """An array or tensor as float64. Raises ValueError: another number of axes, or a value that is not finite."""
    own = real(name, values)
    if own.ndim != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {own.shape}")
    require_finite(name, own)
    return own


def delayed(input_T: Floats, max_lag: int) -> Floats:
    """The inputs 0, 1, ... `max_lag` steps before each step from `max_lag` on, (T - max_lag, max_lag + 1)."""
    return np.lib.stride_tricks.sliding_window_view(input_T, max_lag + 1)[:, ::-1]


def aligned_samples(inputs: Any, states: Any, max_lag: int, washout: int) -> tuple[Floats, Floats]:
    """A scalar signal without its washout, (T,), and its states from the step `max_lag` on, (T - max_lag, N).

    Raises:
        ValueError: shapes that do not fit, values that are not finite, a constant signal, or too few steps.
    """
    if max_lag < 0 or washout < 0:
        raise ValueError(f"max_lag and washout must be 0 or more, got {max_lag} and {washout}")
    input_T, state_TN = floats("inputs", _one("inputs", inputs, 1), 1), floats("states", _one("states", states, 2), 2)
    if len(input_T) != len(state_TN):
        raise ValueError(f"each input must have one state, got {len(input_T)} inputs and {len(state_TN)} states")
    if len(input_T) <= washout + max_lag:
        raise ValueError(f"{len(input_T)} steps leave no samples after a washout of {washout} and {max_lag} lags")
    kept_T = input_T[washout:]
    if np.ptp(kept_T) <= 0:
        raise ValueError(f"the inputs are constant at {kept_T[0]}: there is nothing to remember")
    return scaled(kept_T), state_TN[washout + max_lag :]


def _one(name: str, values: Any, axes: int) -> NDArray[Any]:
    """One signal, (T,) also from (T, 1) or (1, T, 1), or its states, (T, N) also from (1, T, N).

    Of a tuple that `torch.nn` returns, (output, h_n), the outputs are taken. Complex states count as two numbers each.
    """
    is_pair = isinstance(values, tuple) and len(values) == 2 and isinstance(values[0], torch.Tensor)
    own = array(values[0] if is_pair and values[0].dim() > 1 else values)
    if own.ndim == 3 and own.shape[0] == 1:
        own = own[0]
    if axes == 1 and own.ndim == 2 and own.shape[1] == 1:
        own = own[:, 0]
    return np.concatenate([own.real, own.imag], -1) if name == "states" and np.iscomplexobj(own) else own
