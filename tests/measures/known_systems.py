"""Plain `torch.nn` modules with known memory, as a user would build them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def seeded(kind: Any, *sizes: int, seed: int = 0, **options: Any) -> Any:
    """A module with PyTorch's default initialisation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(*sizes, **{"batch_first": True, **options})


def rnn(w_hh: Any, w_ih: Any = None, nonlinearity: str = "tanh") -> nn.RNN:
    """h' = f(W_hh h + W_ih x) without biases; tanh is linear at zero inputs, and relu at positive states."""
    w_hh = torch.as_tensor(w_hh, dtype=torch.float64)
    n = len(w_hh)
    w_ih = torch.eye(n, dtype=torch.float64)[:, :1] if w_ih is None else torch.as_tensor(w_ih, dtype=torch.float64)
    module = nn.RNN(w_ih.shape[1], n, nonlinearity=nonlinearity, bias=False, batch_first=True).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(w_hh)
        module.weight_ih_l0.copy_(w_ih)
    return module


def orthogonal(n: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(torch.from_numpy(np.random.default_rng(seed).standard_normal((n, n))))[0]


def shift_register(n: int) -> nn.RNN:
    """Linear on inputs above zero."""
    return rnn(torch.diag(torch.ones(n - 1), -1), nonlinearity="relu")


def cascade(decay: float, depth: int) -> nn.RNN:
    """Leaky integrators h' = a h + (1 - a) x, one above the other; linear on inputs above zero."""
    module = nn.RNN(1, 1, depth, nonlinearity="relu", bias=False, batch_first=True).double()
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.fill_(decay if "_hh_" in name else 1 - decay)
    return module


def constant_gate(kind: Any, keep: float, hidden: int = 1) -> Any:
    """A `torch.nn.LSTM` or `GRU` that keeps `keep`; its only weights are those of one input into the candidate."""
    module = kind(1, hidden, batch_first=True).double()
    gate = slice(hidden, 2 * hidden)  # f in i, f, g, o; z in r, z, n
    candidate = slice(2 * hidden, 3 * hidden)
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
        module.weight_ih_l0[candidate] = 1.0
        module.bias_ih_l0[gate] = math.log(keep / (1 - keep))
    return module


def latch(weight: float) -> tuple[nn.RNN, float]:
    """h' = tanh(w h + x), and the value it holds for ever: the positive solution of h = tanh(w h)."""
    held = 1.0
    for _ in range(500):
        held = math.tanh(weight * held)
    return rnn([[weight]], [[1.0]]), held
