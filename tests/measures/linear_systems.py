"""Linear systems with known memory, as matrices and as plain torch modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Matrix = NDArray[np.float64]


def first(size: int) -> Matrix:
    return np.eye(size)[0]


def shift(size: int) -> Matrix:
    return np.eye(size, k=-1)


def ring(size: int, gain: float) -> Matrix:
    return gain * np.roll(np.eye(size), 1, 0)


def rotated(W: Matrix, w: Matrix, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
    """The same system in other coordinates."""
    Q = np.linalg.qr(rng.normal(size=W.shape))[0]
    return Q @ W @ Q.T, Q @ w


def relu_rnn(W: Matrix, w: Matrix) -> nn.RNN:
    """Exactly linear for non-negative weights and inputs."""
    module = nn.RNN(1, len(w), nonlinearity="relu", bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.from_numpy(W))
        module.weight_ih_l0.copy_(torch.from_numpy(w)[:, None])
    return module


def driven(system: Callable[..., Any], input_T: NDArray[np.float64]) -> NDArray[np.float64]:
    """The states that a scalar signal leaves in a plain module or callable, (T, N)."""
    with torch.no_grad():
        states: NDArray[np.float64] = system(torch.from_numpy(input_T)[None, :, None])[0][0].numpy()
    return states
