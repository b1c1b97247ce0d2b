"""Networks whose gradient at a lag is noise, before training and after it: the cause `not_learnable`; and a start that
can learn, as a control.

Distractors of every step reach the state that is read, and what comes from the cue is less by e^10 or is absent, so a
batch cannot tell the cue. Shapes: B sequences, T steps, I inputs, H units, K symbols, D distractors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from farback import tasks
from farback.measures.known.forgetting_gates import OPEN, Reader, keeping
from farback.tasks.base import Task

KINDS = ("fades", "cut", "reset", "dead")
FADED = (10.0, 16.0)  # what the cue has lost at the lag, as a logarithm


@dataclass(frozen=True)
class Unlearnable:
    """Two networks on one task, as they are before and after a training that changed nothing.

    Attributes:
        kind: `fades`: state and gradient shrink with each step. `cut`: the module lets no gradient pass from one step
            to the one before. `reset`: every distractor replaces the state. `dead`: relu units that are off for every
            input.
    """

    start: nn.Module
    end: nn.Module
    task: Task
    kind: str


class Cut(Reader):
    """A reader that passes its state on without its gradient."""

    def forward(self, x_BTI: Tensor, state: Tensor | tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, object]:
        """Logits (B, T, K), and the state after the last step."""
        outputs = []
        for x_BI in x_BTI.unbind(1):
            if isinstance(state, tuple):
                state = (state[0].detach(), state[1].detach())
            elif state is not None:
                state = state.detach()
            h_B1H, state = self.rnn(x_BI[:, None], state)
            outputs.append(self.readout(h_B1H))
        return torch.cat(outputs, 1), state


def unlearnable(lag: int, rng: np.random.Generator) -> Unlearnable:
    """A drawn network that cannot learn this lag: other cells, sizes, symbols and constants each time."""
    K, D = int(rng.choice([2, 3, 4, 6])), int(rng.integers(3, 7))
    task = tasks.build({"name": "recall", "symbols": K, "distractors": D, "lag": lag})
    kind, H = KINDS[int(rng.integers(len(KINDS)))], int(rng.integers(4, 17))
    cell = str(rng.choice(["tanh", "gru", "lstm"]))
    start, end = (_drawn(kind, cell, task, lag, H, rng) for _ in range(2))
    return Unlearnable(start, end, task, f"{kind} {'relu' if kind == 'dead' else cell}")


def learnable_start(task: Task, K: int, D: int, rng: np.random.Generator) -> nn.Module:
    """An LSTM that keeps the cue and reads it with small random weights: the gradient of the readout tells the cue."""
    module = keeping(task, K, D, rng)
    with torch.no_grad():
        module.readout.weight.copy_(0.1 * torch.from_numpy(rng.normal(size=(K, K))))
    return module.double()


def noisy_start(task: Task, rng: np.random.Generator) -> nn.Module:
    """A GRU that forgets, as a start that cannot learn."""
    return _drawn("fades", "gru", task, task.lag, 8, rng)


def _drawn(kind: str, cell: str, task: Task, lag: int, H: int, rng: np.random.Generator) -> nn.Module:
    inputs, amount = task.inputs, rng.uniform(*FADED)
    made: nn.RNNBase
    if kind == "dead":
        made = nn.RNN(inputs, H, nonlinearity="relu", batch_first=True)
    else:
        made = {"tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](inputs, H, batch_first=True)
    module = (Cut if kind == "cut" else Reader)(made, task)
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.from_numpy(rng.uniform(-0.5, 0.5, size=tuple(value.shape))))
        if kind == "dead":
            dict(made.named_parameters())["bias_ih_l0"].fill_(-30.0)
            dict(made.named_parameters())["weight_hh_l0"].copy_(0.1 * torch.eye(H))
            return module.double()
        keep = 1e-6 if kind == "reset" else math.exp(-amount / lag)
        _forgets(dict(made.named_parameters()), cell, H, keep, rng)
    return module.double()


def _forgets(rnn: dict[str, nn.Parameter], cell: str, H: int, keep: float, rng: np.random.Generator) -> None:
    """Let each step leave this share of the state at most, whatever the inputs are, and add what the input says."""
    loop, given, bias = rnn["weight_hh_l0"], rnn["weight_ih_l0"], rnn["bias_ih_l0"]
    rnn["bias_hh_l0"].zero_()
    if cell == "tanh":  # the slope of tanh is at most 1
        turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(H, H)))[0])
        loop.copy_(keep * turn)
        return
    loop.zero_()  # the gates see the inputs only
    logit = math.log(keep / (1 - keep))
    if cell == "gru":
        given[H : 2 * H].zero_()
        bias[H : 2 * H] = logit
    else:
        given[: 2 * H].zero_()
        bias[:H], bias[H : 2 * H] = 0.0, logit
        given[3 * H :].zero_()
        bias[3 * H :] = OPEN
