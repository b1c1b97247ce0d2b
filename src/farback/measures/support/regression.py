"""How much of a target the states can express linearly, without the bias of fitting.

Shapes: T samples, N numbers of the state, K targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import betaincinv

Floats = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Span:
    """What [1, state] can express over T samples, less the constant: an orthonormal basis of it, (T, features).

    `features` is the number of linearly independent numbers of the state, which is what a fit has to spend.
    """

    basis_TF: Floats

    @property
    def samples(self) -> int:
        """T."""
        return int(self.basis_TF.shape[0])

    @property
    def features(self) -> int:
        """Independent columns, at most N."""
        return int(self.basis_TF.shape[1])

    def r2(self, target_TK: Floats) -> Floats:
        """Share of each target's variance that least squares with an intercept explains, (K,); nan for a constant."""
        centred_TK = target_TK - target_TK.mean(0)
        explained_K = np.square(self.basis_TF.T @ centred_TK).sum(0)
        with np.errstate(invalid="ignore"):
            return np.asarray(explained_K / np.square(centred_TK).sum(0))

    def adjusted(self, r2: Floats) -> Floats:
        """`1 - (1 - R2)(T - 1)/(T - F - 1)`: zero in the mean where target and states are independent. Not clipped."""
        return np.asarray(1 - (1 - r2) * (self.samples - 1) / (self.samples - self.features - 1))

    def null(self, probability: float) -> float:
        """The R2 that independent states stay below with that probability: R2 ~ Beta(F/2, (T - 1 - F)/2).

        Exact for Gaussian targets, whatever the states; Source: Cramer 1946, section 29.
        """
        if not self.features:
            return 0.0
        return float(betaincinv(self.features / 2, (self.samples - 1 - self.features) / 2, probability))


def span(state_TN: Floats) -> Span:
    """The span of states.

    By singular values in float64, each column at unit length first: the directions in which a net keeps old inputs can
    be many orders of magnitude smaller than those of new ones, and normal equations would lose them.

    Raises:
        ValueError: no more samples than a fit has unknowns.
    """
    T, N = state_TN.shape
    if T < N + 3:  # two degrees of freedom are left to the residual
        raise ValueError(f"{T} samples are too few for a fit of {N} numbers of state and a constant: {N + 3} at least")
    largest_N = np.abs(state_TN).max(0, initial=0.0)
    scaled_TN = state_TN / np.where(largest_N > 0, largest_N, 1.0)  # so that no square overflows
    centred_TN = scaled_TN - scaled_TN.mean(0)
    length_N = np.sqrt(np.square(centred_TN).sum(0))
    varies_N = length_N > 8 * EPS * np.sqrt(T)  # what is left of a constant is rounding
    left_TF, value_F, _ = np.linalg.svd(centred_TN[:, varies_N] / length_N[varies_N], full_matrices=False)
    tolerance = EPS * (N + np.sqrt(T))  # what rounding leaves of a direction that is not there
    return Span(left_TF[:, value_F > tolerance * value_F.max(initial=0.0)])


def floats(name: str, values: Any, axes: int) -> Floats:
    """An array or a tensor as float64.

    Raises:
        ValueError: another number of axes, or a value that is not finite.
    """
    plain = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    array = np.asarray(plain, dtype=np.float64)
    if array.ndim != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {array.shape}")
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        at = tuple(wrong[0].tolist())
        raise ValueError(f"{name} must be finite; {len(wrong)} values are not, the first is {array[at]} at {at}")
    return array


def delayed(input_T: Floats, max_lag: int) -> Floats:
    """The inputs of 0, 1, ... `max_lag` steps before each step from `max_lag` on, (T - max_lag, max_lag + 1)."""
    return np.lib.stride_tricks.sliding_window_view(input_T, max_lag + 1)[:, ::-1]


def samples(inputs: Any, states: Any, max_lag: int, washout: int) -> tuple[Floats, Floats]:
    """A scalar signal, (T,), and the states it left, (T - max_lag, N), from step `max_lag` on, both without wash-out.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, a constant signal, or too few steps.
    """
    if max_lag < 0 or washout < 0:
        raise ValueError(f"max_lag and washout must be 0 or more, got {max_lag} and {washout}")
    input_T, state_TN = floats("inputs", inputs, 1), floats("states", states, 2)
    if len(input_T) != len(state_TN):
        raise ValueError(f"needs one state for each input, got {len(input_T)} inputs and {len(state_TN)} states")
    if len(input_T) <= washout + max_lag:
        raise ValueError(f"{len(input_T)} steps leave nothing after a wash-out of {washout} and {max_lag} lags")
    kept_T = input_T[washout:]
    if np.ptp(kept_T) <= 0:
        raise ValueError(f"the inputs are constant at {kept_T[0]}: there is nothing to remember")
    return kept_T, state_TN[washout + max_lag :]
