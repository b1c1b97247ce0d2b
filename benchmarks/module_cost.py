"""Measure what a torch module costs in training, against the same cell written by hand on the replica axis.

    OMP_NUM_THREADS=1 python -m benchmarks.module_cost

The cell is a GRU whose kept state decays. A pass is the loss of recall and its gradient, for 32 sequences. The table
has the median processor time of passes that take turns, and its ratio to the cell by hand, which runs step by step.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import ClassVar

import torch
from benchmarks.speed.points import Point
from torch import Tensor, nn
from typing_extensions import override

from farback.cells.base import Cell, GatedCell, Parameters, State, recurrent, sigmoid
from farback.cells.module import ModuleCell
from farback.networks.architecture import Architecture
from farback.system.arithmetic import arithmetic
from farback.training.gradient import Options, gradient
from farback.training.replicas import Replicas

SHAPES = [(64, 100), (16, 100)]  # units and steps
WIDTHS = (1, 2, 8, 32)  # replicas
ROUNDS = 7  # passes of each


class DecayGRU(nn.Module):
    """The cell as a module, called with whole sequences."""

    def __init__(self, inputs: int, hidden: int, decay: float = 0.9) -> None:
        super().__init__()
        self.inward, self.back = nn.Linear(inputs, 3 * hidden), nn.Linear(hidden, 3 * hidden)
        self.decay = nn.Parameter(torch.full((hidden,), decay))

    @override
    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = x.new_zeros(len(x), len(self.decay)) if h is None else h
        outputs = []
        for step in self.inward(x).unbind(1):
            x_r, x_z, x_n = step.chunk(3, -1)
            h_r, h_z, h_n = self.back(h).chunk(3, -1)
            z = torch.sigmoid(x_z + h_z)
            h = (1 - z) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + self.decay * z * h
            outputs.append(h)
        return torch.stack(outputs, 1), h


class DecayGRUCell(DecayGRU):
    """The cell as a module, called step by step."""

    @override
    def forward(self, x: Tensor, h: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x.unsqueeze(1), h)[1]


class ByHand(GatedCell):
    """The cell on the replica axis."""

    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")

    name: str = "by_hand"

    @override
    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        return {**super().parameters(inputs, hidden), "decay": (hidden,)}

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (h,) = state
        x_r, x_z, x_n = gates_RBG.chunk(3, -1)
        h_r, h_z, h_n = recurrent(h, p).chunk(3, -1)
        z = sigmoid(x_z + h_z)
        return ((1 - z) * torch.tanh(x_n + sigmoid(x_r + h_r) * h_n) + p["decay"].unsqueeze(1) * z * h,)


def times(cells: dict[str, Cell], hidden: int, steps: int, width: int) -> dict[str, float]:
    """The median processor time of a pass of each cell, in milliseconds."""
    replicas = Replicas(Point("GRU", hidden, steps, 32, width).trials)
    batch, options = replicas.training.next(), Options(seeds=tuple(range(width)))
    passes = {}
    for name, cell in cells.items():
        architecture = Architecture(cell, replicas.architecture.inputs, hidden, replicas.architecture.outputs)
        generator = torch.Generator().manual_seed(0)
        theta_RP = 0.2 * torch.rand(width, architecture.parameter_count, generator=generator) - 0.1
        passes[name] = partial(gradient, architecture, theta_RP, replicas.scored, batch, options)
    taken: dict[str, list[float]] = {name: [] for name in cells}
    for one in range(1 + ROUNDS):
        for name, call in passes.items():
            before = time.process_time()
            call()
            taken[name] += [1e3 * (time.process_time() - before)] if one else []
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    modules = ("DecayGRU", "DecayGRUCell")
    cells: dict[str, Cell] = {"by hand": ByHand()}
    cells |= {name: ModuleCell.model_validate({"class": f"benchmarks.module_cost:{name}"}) for name in modules}
    print("| units | steps | replicas | by hand, ms | as a sequence | as a step |\n|---|---|---|---|---|---|")
    for hidden, steps in SHAPES:
        for width in WIDTHS:
            with arithmetic():
                found = times(cells, hidden, steps, width)
            ratios = " | ".join(f"{found[name] / found['by hand']:.2f}" for name in modules)
            print(f"| {hidden} | {steps} | {width} | {found['by hand']:.0f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
