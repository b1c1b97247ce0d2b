"""Networks with known memory, as plain `torch.nn` modules wherever one can be: what a person would hand to a measure.

A `torch.nn.RNN` with relu, weights and inputs that are not negative is exactly linear: h_t = W h_{t-1} + w x_t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Matrix = NDArray[np.float64]

PULSE = 5.0  # input that puts a latch on one side for sure
CERTAIN = 40.0  # a logit that leaves no doubt


def shift_register(size: int) -> tuple[Matrix, Matrix]:
    """W and w of a buffer of the last `size` inputs."""
    return np.eye(size, k=-1), np.eye(size)[0]


def ring(size: int, gain: float) -> tuple[Matrix, Matrix]:
    """W and w of a buffer whose end leads back to its beginning (Rodan and Tino 2011)."""
    return gain * np.roll(np.eye(size), 1, axis=0), np.eye(size)[0]


def linear(W: Matrix, w: Matrix) -> nn.RNN:
    """h_t = W h_{t-1} + w x_t as a `torch.nn.RNN`, for W, w and inputs that are not negative."""
    module = nn.RNN(1, len(w), nonlinearity="relu", batch_first=True, dtype=torch.float64)
    _fill(module, weight_hh_l0=torch.tensor(W), weight_ih_l0=torch.tensor(w).unsqueeze(1))
    return module


def cascade(depth: int, decay: float) -> nn.RNN:
    """`depth` leaky integrators, one above the other: h_t = a h_{t-1} + (1 - a) x_t."""
    module = nn.RNN(1, 1, depth, nonlinearity="relu", batch_first=True, dtype=torch.float64)
    layers = {f"weight_hh_l{layer}": _rows(decay) for layer in range(depth)}
    layers |= {f"weight_ih_l{layer}": _rows(1 - decay) for layer in range(depth)}
    _fill(module, **layers)
    return module


def scaled_orthogonal(size: int, gain: float, seed: int = 0) -> nn.RNN:
    """A tanh network whose recurrent matrix turns and shrinks by `gain`; linear at rest, under no input."""
    module = nn.RNN(1, size, nonlinearity="tanh", batch_first=True, dtype=torch.float64)
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))
    _fill(module, weight_hh_l0=torch.tensor(gain * turned), weight_ih_l0=torch.ones(size, 1))
    return module


class Latch(nn.Module):
    """One tanh unit that feeds itself with `weight` > 1, and so keeps a sign for ever.

    Takes the inputs of `recall` with two cues and blank filler; answers with the logits of the cues.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 1, nonlinearity="tanh", batch_first=True, dtype=torch.float64)
        _fill(self.rnn, weight_hh_l0=_rows(weight), weight_ih_l0=torch.tensor([[PULSE, -PULSE, 0.0]]))

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T, 2) and states (B, T, 1)."""
        state_BT1 = self.rnn(x_BTI.to(torch.float64))[0]
        return CERTAIN * torch.cat([state_BT1, -state_BT1], -1), state_BT1


def latched(weight: float) -> tuple[float, float]:
    """Where a latch comes to rest, h = tanh(w h), and the slope w (1 - h^2) there."""
    h = 1.0
    for _ in range(200):
        h = math.tanh(weight * h)
    return h, weight * (1 - h * h)


def gated(kind: str, keep: float) -> nn.RNNBase:
    """An LSTM or GRU of one unit whose keep gate is constant: all weights are zero but that of the candidate."""
    bias = math.log(keep / (1 - keep))
    if kind == "lstm":
        lstm = nn.LSTM(1, 1, batch_first=True, dtype=torch.float64)  # gates i, f, g, o
        _fill(lstm, weight_ih_l0=_rows(0, 0, 1, 0), bias_ih_l0=_rows(0, bias, 0, 0)[:, 0])
        return lstm
    gru = nn.GRU(1, 1, batch_first=True, dtype=torch.float64)  # gates r, z, n; z keeps
    _fill(gru, weight_ih_l0=_rows(0, 0, 1), bias_ih_l0=_rows(0, bias, 0)[:, 0])
    return gru


class Register(nn.Module):
    """Answers `recall` with blank filler from a buffer of the last `slots` steps.

    Attributes:
        rnn: the buffer, a relu network: slot j holds the cues of j steps before.
    """

    def __init__(self, cues: int, slots: int) -> None:
        super().__init__()
        self.cues = cues
        self.rnn = nn.RNN(cues + 1, cues * slots, nonlinearity="relu", batch_first=True, dtype=torch.float64)
        weight_ih = torch.zeros(cues * slots, cues + 1)
        weight_ih[:cues, :cues] = torch.eye(cues)  # the go flag is not a cue
        shift = torch.tensor(np.eye(cues * slots, k=-cues))
        _fill(self.rnn, weight_hh_l0=shift, weight_ih_l0=weight_ih)

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T, cues) and states (B, T, cues x slots)."""
        state_BTS = self.rnn(x_BTI.to(torch.float64))[0]
        return CERTAIN * state_BTS.unflatten(-1, (-1, self.cues)).sum(-2), state_BTS


def parity(x_BTI: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The product of the last `length` inputs at every step, twice: it is all that can be seen of the state."""
    padded = torch.cat([torch.ones_like(x_BTI[:, : length - 1]), x_BTI], 1)
    product_BT1 = padded.unfold(1, length, 1).prod(-1)
    return product_BT1, product_BT1


def weighted(x_BTI: Tensor, weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The sum of the last inputs, w_0 x_t + w_1 x_{t-1} + ..., at every step, twice."""
    padded = torch.cat([torch.zeros_like(x_BTI[:, : len(weights) - 1]), x_BTI], 1)
    sum_BT1 = padded.unfold(1, len(weights), 1) @ torch.tensor(list(reversed(weights)), dtype=x_BTI.dtype)
    return sum_BT1, sum_BT1


def _rows(*values: float) -> Tensor:
    """A column of numbers."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def _fill(module: nn.RNNBase, **values: Tensor) -> None:
    """Zero everything but what is named."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.zero_()
            if name in values:
                parameter.copy_(values[name])
