"""Networks with known memory, as plain `torch.nn` modules where possible, and random signals to drive them.

A `torch.nn.RNN` with relu and non-negative weights and inputs is exactly linear: h_t = W h_{t-1} + w x_t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from farback.measures.base import Floats
from farback.measures.support.system import as_system
from farback.system.random_streams import stream

PULSE = 5.0  # an input large enough to set a latch
CERTAIN = 40.0  # a logit with a probability of 1 up to rounding
SEQUENCES = 1500
SAMPLES = 20_000  # steps of a simulated signal


def signal(steps: int) -> Floats:
    """Independent inputs, uniform on [0, 1), (T, 1); not negative, so that a relu network stays linear."""
    return stream(0, "calibrate", "signal").uniform(size=(steps, 1))


def signals(steps: int) -> Floats:
    """Many sequences of independent inputs, uniform on [0, 1), (B, T, 1)."""
    return stream(0, "calibrate", "sequences").uniform(size=(SEQUENCES, steps, 1))


def driven(module: nn.RNNBase) -> tuple[Floats, Floats]:
    """A signal, (T,), and the states of a module driven by it, (T, N)."""
    input_T1 = signal(SAMPLES)
    with torch.no_grad():
        states = as_system(module).double()(torch.from_numpy(input_T1).unsqueeze(0))[1]
    return input_T1[:, 0], states[0].numpy()


def shift_register(size: int) -> tuple[Floats, Floats]:
    """W and w of a buffer of the last `size` inputs."""
    return np.eye(size, k=-1), np.eye(size)[0]


def ring(size: int, gain: float) -> tuple[Floats, Floats]:
    """W and w of a buffer whose last unit feeds back into the first (Rodan and Tino 2011)."""
    return gain * np.roll(np.eye(size), 1, axis=0), np.eye(size)[0]


def linear(W: Floats, w: Floats) -> nn.RNN:
    """h_t = W h_{t-1} + w x_t as a `torch.nn.RNN`, for non-negative W, w and inputs."""
    module = nn.RNN(1, len(w), nonlinearity="relu", batch_first=True, dtype=torch.float64)
    _fill(module, weight_hh_l0=torch.tensor(W), weight_ih_l0=torch.tensor(w).unsqueeze(1))
    return module


def cascade(depth: int, decay: float) -> nn.RNN:
    """A stack of `depth` leaky integrators: h_t = a h_{t-1} + (1 - a) x_t."""
    module = nn.RNN(1, 1, depth, nonlinearity="relu", batch_first=True, dtype=torch.float64)
    layers = {f"weight_hh_l{layer}": _column(decay) for layer in range(depth)}
    layers |= {f"weight_ih_l{layer}": _column(1 - decay) for layer in range(depth)}
    _fill(module, **layers)
    return module


def scaled_orthogonal(size: int, gain: float, seed: int = 0) -> nn.RNN:
    """A tanh network whose recurrent matrix is orthogonal times `gain`; linear at rest under zero input."""
    module = nn.RNN(1, size, nonlinearity="tanh", batch_first=True, dtype=torch.float64)
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))
    _fill(module, weight_hh_l0=torch.tensor(gain * turned), weight_ih_l0=torch.ones(size, 1))
    return module


class Latch(nn.Module):
    """One tanh unit with recurrent weight `weight` > 1, which keeps its sign for ever.

    Reads the inputs of `recall` with two cues and blank filler; its outputs are the logits of the cues.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 1, nonlinearity="tanh", batch_first=True, dtype=torch.float64)
        _fill(self.rnn, weight_hh_l0=_column(weight), weight_ih_l0=torch.tensor([[PULSE, -PULSE, 0.0]]))

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T, 2) and states (B, T, 1)."""
        state_BT1 = self.rnn(x_BTI.to(torch.float64))[0]
        return CERTAIN * torch.cat([state_BT1, -state_BT1], -1), state_BT1


def latches(size: int, weight: float) -> nn.RNN:
    """Tanh latches that do not see each other, which every input moves a little, and none switches."""
    module = nn.RNN(3, size, nonlinearity="tanh", batch_first=True, dtype=torch.float64)
    weak = torch.full((size, 3), 0.01, dtype=torch.float64)
    _fill(module, weight_hh_l0=weight * torch.eye(size, dtype=torch.float64), weight_ih_l0=weak)
    return module


def latched(weight: float) -> tuple[float, float]:
    """The resting state of a latch, h = tanh(w h), and the slope w (1 - h^2) at it."""
    h = 1.0
    for _ in range(200):
        h = math.tanh(weight * h)
    return h, weight * (1 - h * h)


def gated(kind: str, keep: float) -> nn.RNNBase:
    """An LSTM or GRU of one unit with a constant keep gate: all weights but the candidate's input weight are zero."""
    bias = math.log(keep / (1 - keep))
    if kind == "lstm":
        lstm = nn.LSTM(1, 1, batch_first=True, dtype=torch.float64)  # gates i, f, g, o
        _fill(lstm, weight_ih_l0=_column(0, 0, 1, 0), bias_ih_l0=_column(0, bias, 0, 0)[:, 0])
        return lstm
    gru = nn.GRU(1, 1, batch_first=True, dtype=torch.float64)  # gates r, z, n; z keeps
    _fill(gru, weight_ih_l0=_column(0, 0, 1), bias_ih_l0=_column(0, bias, 0)[:, 0])
    return gru


class Register(nn.Module):
    """A relu buffer of the last steps that solves `recall` with blank filler: slot j holds the cue of j steps ago."""

    def __init__(self, cues: int, slots: int) -> None:
        super().__init__()
        self.cues = cues
        self.rnn = nn.RNN(cues + 1, cues * slots, nonlinearity="relu", batch_first=True, dtype=torch.float64)
        weight_ih = torch.zeros(cues * slots, cues + 1)
        weight_ih[:cues, :cues] = torch.eye(cues)  # the last input is the go flag
        _fill(self.rnn, weight_hh_l0=torch.tensor(np.eye(cues * slots, k=-cues)), weight_ih_l0=weight_ih)

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T, cues) and states (B, T, cues x slots)."""
        state_BTS = self.rnn(x_BTI.to(torch.float64))[0]
        return CERTAIN * state_BTS.unflatten(-1, (-1, self.cues)).sum(-2), state_BTS


def parity(x_BTI: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The product of the last `length` inputs at every step, as outputs and as states."""
    padded = torch.cat([torch.ones_like(x_BTI[:, : length - 1]), x_BTI], 1)
    product_BT1 = padded.unfold(1, length, 1).prod(-1)
    return product_BT1, product_BT1


def weighted(x_BTI: Tensor, weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The weighted sum of the last inputs, w_0 x_t + w_1 x_{t-1} + ..., as outputs and as states."""
    padded = torch.cat([torch.zeros_like(x_BTI[:, : len(weights) - 1]), x_BTI], 1)
    sum_BT1 = padded.unfold(1, len(weights), 1) @ torch.tensor(list(reversed(weights)), dtype=x_BTI.dtype)
    return sum_BT1, sum_BT1


def _column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def _fill(module: nn.RNNBase, **values: Tensor) -> None:
    """Set the named parameters to these values and all others to zero."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.zero_()
            if name in values:
                parameter.copy_(values[name])
