"""Signals that drive the known systems, and how far a simulation may lie from what is known."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from farback.measures.support.system import as_system
from farback.system.random_streams import stream

ERRORS = 4.0  # standard errors: about one false alarm in 16 000 checks
SEQUENCES = 1500
SAMPLES = 20_000  # steps of a simulated signal


def driven(module: torch.nn.RNNBase) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A signal, (T,), and the states of the module that it drives, (T, N)."""
    signal = positive(SAMPLES)
    with torch.no_grad():
        states = as_system(module).double()(torch.from_numpy(signal).unsqueeze(0))[1]
    return signal[:, 0], states[0].numpy()


def positive(steps: int) -> NDArray[np.float64]:
    """Independent inputs, uniform on [0, 1), (T, 1): under them a relu network without negative weights is linear."""
    return stream(0, "calibrate", "signal").uniform(size=(steps, 1))


def many(steps: int) -> NDArray[np.float64]:
    """Sequences of such inputs, (B, T, 1)."""
    return stream(0, "calibrate", "sequences").uniform(size=(SEQUENCES, steps, 1))


def resampled(share: float) -> float:
    """Four standard errors, at most, of the effect of a uniform input with that share of the variance of the answer.

    The squared difference of two uniform numbers varies by 1.2 times its mean; the variance that it is divided by adds
    less than that.
    """
    return ERRORS * 2 * share / math.sqrt(SEQUENCES)


def null_error(features: int, samples: int) -> float:
    """Standard error of one adjusted R² of independent states: R² is a Beta variable."""
    half, rest = features / 2, (samples - features - 1) / 2
    beta = math.sqrt(half * rest / ((half + rest) ** 2 * (half + rest + 1)))
    return beta * (samples - 1) / (samples - features - 1)
