"""PyTorch's version of one training step: the usual script, once for every network of the cohort."""

from __future__ import annotations

from collections.abc import Callable

import torch
from benchmarks.speed.points import Point
from torch import Tensor, nn

from farback.networks.network import Network
from farback.training.batches import CohortBatch

MODULES: dict[str, Callable[[int, int], nn.RNNBase]] = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


class Script:
    """One network, its optimizer and its data."""

    def __init__(self, point: Point, network: Network, x_TBI: Tensor, target_B: Tensor) -> None:
        numbers = {name: value[0].detach().clone() for name, value in network.parameters.items()}
        inputs, outputs = x_TBI.shape[-1], numbers["readout.weight"].shape[0]
        self.rnn = MODULES[point.cell](inputs, point.H)
        self.rnn.load_state_dict({name: value for name, value in numbers.items() if "readout" not in name})
        self.readout = nn.Linear(point.H, outputs)
        self.readout.load_state_dict({name: numbers[f"readout.{name}"] for name in ("weight", "bias")})
        self.parameters = [*self.rnn.parameters(), *self.readout.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)
        self.x_TBI, self.target_B = x_TBI.contiguous(), target_B

    def step(self) -> float:
        """Forward, loss, backward, clip, Adam; the loss before it."""
        self.optimizer.zero_grad()
        output_TBH, _ = self.rnn(self.x_TBI)
        loss = nn.functional.cross_entropy(self.readout(output_TBH[-1]), self.target_B)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.item()


class Torch:
    """A loop over the networks."""

    def __init__(self, point: Point, network: Network, questions: CohortBatch) -> None:
        x_RTBI = questions.x_RTBI
        assert isinstance(x_RTBI, Tensor)
        self.scripts = [Script(point, network.replica(r), x_RTBI[r], questions.target_RN[r]) for r in range(point.R)]

    def step(self) -> list[float]:
        """One step of every network; the losses before it."""
        return [script.step() for script in self.scripts]
