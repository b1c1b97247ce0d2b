"""`torch.nn` networks that forget for a known reason: recurrent weights that write, keep, overwrite and read on cue.

Shapes: I inputs, H units, K symbols.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from farback import tasks
from farback.tasks.base import Task

Parameters = dict[str, nn.Parameter]

OPEN = 12.0  # a gate of sigmoid(12) is open up to 6e-6


class Reader(nn.Module):
    """A recurrent `torch.nn` network with a linear readout, on recall with noise; one unit holds each symbol."""

    def __init__(self, rnn: nn.RNNBase, task: Task) -> None:
        super().__init__()
        self.rnn, self.task = rnn, task
        self.readout = nn.Linear(rnn.hidden_size, task.answer.outputs)

    def forward(self, x_BTI: Tensor, state: Tensor | tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, object]:
        """Logits (B, T, K), and the state after the last step."""
        h_BTH, last = self.rnn(x_BTI, state)
        return self.readout(h_BTH), last


def gated(cause: str, lag: int, rng: np.random.Generator) -> Reader | None:
    """An LSTM, GRU or tanh network that fails at the lag for this cause; None if there is none."""
    K, D = int(rng.choice([2, 3, 4, 6])), int(rng.integers(3, 7))
    if cause == "drifts":  # of several units, distractors would leave some direction quiet
        K, D = 2, int(rng.choice([2, 4, 6]))
    task = tasks.build({"name": "recall", "symbols": K, "distractors": D, "lag": lag})
    kind, fill = ((nn.LSTM, _lstm), (nn.GRU, _gru), (nn.RNN, _tanh))[int(rng.integers(3))]
    if cause == "timer" or (cause == "drifts" and kind is not nn.LSTM):
        return None
    module = Reader(kind(task.inputs, K, batch_first=True), task)
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
        module.readout.weight.copy_(8 * torch.eye(K))
        fill(dict(module.rnn.named_parameters()), cause, lag, K, D, rng)
        if cause in ("decays", "not_written", "not_read"):  # an answer needs a clear separation
            module.readout.bias.copy_(torch.from_numpy(3.0 * rng.permutation(K) / (K - 1)))
        if cause == "not_read" and not (kind is nn.LSTM and rng.random() < 0.5):
            module.readout.weight.copy_(torch.zeros(K, K) if rng.random() < 0.5 else 8 * torch.eye(K).roll(1, 0))
        elif cause == "not_read":
            dict(module.rnn.named_parameters())["bias_ih_l0"][3 * K :] = -2 * OPEN
    return module


def keeping(task: Task, K: int, D: int, rng: np.random.Generator) -> Reader:
    """An LSTM that writes the cue, keeps it through every distractor, and answers with it."""
    module = Reader(nn.LSTM(task.inputs, K, batch_first=True), task)
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
        module.readout.weight.copy_(8 * torch.eye(K))
        _lstm(dict(module.rnn.named_parameters()), "", task.lag, K, D, rng)
    return module


def _signs(K: int, D: int, rng: np.random.Generator) -> Tensor:
    """Candidates that distractors write, (K, D): 1 or -1, of both kinds for each unit, not the same for all units."""
    signs = np.zeros((K, D))
    while (signs == signs[0]).all():  # else the difference of the units keeps the cue
        signs = rng.choice([-1.0, 1.0], size=(K, D))
        signs[:, 0], signs[:, 1] = 1.0, -1.0
        signs = rng.permuted(signs, axis=1)
    return torch.from_numpy(signs).float()


def _share(lag: int, rng: np.random.Generator) -> float:
    """What one step leaves of the memory, as a logit."""
    keep = math.exp(-rng.uniform(4, 6) / lag)
    return math.log(keep / (1 - keep))


def _lstm(rnn: Parameters, cause: str, lag: int, K: int, D: int, rng: np.random.Generator) -> None:
    i, f, g, _ = (rnn["weight_ih_l0"][n * K : (n + 1) * K] for n in range(4))
    bi, bf, bg, bo = (rnn["bias_ih_l0"][n * K : (n + 1) * K] for n in range(4))
    cues, noise = slice(0, K), slice(K, K + D)
    bi.fill_(-OPEN), bf.fill_(OPEN), bo.fill_(OPEN)
    g[:, cues] = 3 * torch.eye(K)
    if cause != "not_written":
        i[:, cues], f[:, cues] = 2 * OPEN, -2 * OPEN
    if cause == "decays":
        bf.fill_(_share(lag, rng))
    elif cause == "overwritten":
        f[:, noise] = _share(lag, rng) - OPEN
        i[:, noise], g[:, noise] = OPEN - 2.0, _signs(K, D, rng)
    elif cause == "drifts":
        step = rng.uniform(2, 3) / math.sqrt(lag)
        sign_D = torch.from_numpy(rng.permutation([1.0, -1.0] * (D // 2))).float()
        i[:, noise], g[:, noise] = OPEN + math.log(step / (1 - step)), 3 * torch.stack([sign_D, -sign_D])
    elif cause == "saturated":
        bi.fill_(OPEN), bg.fill_(3.0)


def _gru(rnn: Parameters, cause: str, lag: int, K: int, D: int, rng: np.random.Generator) -> None:
    _, z, n = (rnn["weight_ih_l0"][m * K : (m + 1) * K] for m in range(3))
    bz, bn = rnn["bias_ih_l0"][K : 2 * K], rnn["bias_ih_l0"][2 * K :]
    cues, noise = slice(0, K), slice(K, K + D)
    bz.fill_(OPEN)
    n[:, cues] = 3 * torch.eye(K)
    if cause != "not_written":
        z[:, cues] = -2 * OPEN
    if cause == "decays":
        bz.fill_(_share(lag, rng))
    elif cause == "overwritten":
        z[:, noise], n[:, noise] = _share(lag, rng) - OPEN, _signs(K, D, rng)
    elif cause == "saturated":
        bz.fill_(-OPEN), bn.fill_(30.0)


def _tanh(rnn: Parameters, cause: str, lag: int, K: int, D: int, rng: np.random.Generator) -> None:
    cues, noise = slice(0, K), slice(K, K + D)
    loop = math.exp(-rng.uniform(4, 6) / lag) if cause == "decays" else 2.2
    rnn["weight_hh_l0"].copy_(loop * torch.eye(K))
    if cause != "not_written":
        rnn["weight_ih_l0"][:, cues] = 5 * (2 * torch.eye(K) - 1)
    if cause == "overwritten":
        chosen = torch.from_numpy(rng.random(D) < 0.5).float()
        chosen[0] = 1.0
        rnn["weight_ih_l0"][:, noise] = 6 * _signs(K, D, rng) * chosen
    elif cause == "saturated":
        rnn["bias_ih_l0"].fill_(30.0)
