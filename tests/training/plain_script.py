"""A plain PyTorch training script on the batches of a trial, to compare with: torch.nn, torch.optim and a loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from farback.system.random_streams import stream
from farback.training.replicas import Replicas
from farback.trials.events import TrialResult
from farback.trials.trial import Trial

BLOCK = 16  # batches that farback draws at once
MODULES: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}
Step = Callable[[int], None]  # called with the number of each update, from 1, after its gradient is clipped


@dataclass
class Script:
    """A torch.nn network with the initial weights of a trial, and the losses of its updates."""

    trial: Trial
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = {name: part[0].clone() for name, part in Replicas([self.trial]).network().parameters.items()}
        self.start = start
        self.net = MODULES[self.trial.cell.name](self.trial.task.inputs, self.trial.hidden, self.trial.depth)
        self.readout = nn.Linear(self.trial.hidden, self.trial.task.answer.outputs)
        self.net.load_state_dict({name: part for name, part in start.items() if not name.startswith("readout")})
        self.readout.load_state_dict({"weight": start["readout.weight"], "bias": start["readout.bias"]})
        self.parameters = [*self.net.parameters(), *self.readout.parameters()]

    def run(self, step: Step, forward: Callable[[int, Tensor], Tensor] | None = None) -> list[float]:
        """The losses of all updates; `forward(count, x_TBI)` replaces the recurrent layers."""
        trial, rng = self.trial, stream(self.trial.seed, "train")
        for count in range(1, trial.steps + 1):
            if count % BLOCK == 1:
                block = trial.task.sample(rng, BLOCK * trial.batch)
            at = (count - 1) % BLOCK
            x, target, lag = (part[at * trial.batch : (at + 1) * trial.batch] for part in block)
            h_TBH = forward(count, x.transpose(0, 1)) if forward else self.net(x.transpose(0, 1))[0]
            loss = nn.functional.cross_entropy(self.readout(h_TBH).transpose(0, 1)[lag >= 0], target[lag >= 0])
            for parameter in self.parameters:
                parameter.grad = None
            loss.backward()
            if trial.clip is not None:
                nn.utils.clip_grad_norm_(self.parameters, trial.clip)
            step(count)
            self.losses.append(loss.item())
        return self.losses


def losses(result: TrialResult) -> np.ndarray:
    """The training losses of a result; of every update if the trial has evaluate_every 1."""
    rows = result.scores.query("measure == 'train' and statistic == 'loss'")
    found: np.ndarray = rows["value"].to_numpy()
    return found
