"""Every cell that has a kernel: forward and backward pass through its kernel, and step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from benchmarks.speed.timing import interleaved
from torch import Tensor

from farback import cells, inits
from farback.cells import Cell
from farback.cells.base import SteppedCell
from farback.kernels.unroll import layer
from farback.networks.network import Architecture, draw
from farback.system.heap import keep_heap

HIDDEN, STEPS, BATCH, INPUTS = 64, 100, 32, 4
TOLERANCE = 1e-3  # relative, in float32, of the gradients of both ways


def passes(cell: Cell) -> dict[str, Callable[[], list[Tensor]]]:
    """Two functions that return the gradients of a layer's parameters: through the kernel, and step by step.

    Raises:
        AssertionError: the gradients differ.
    """
    network = draw(Architecture(cell, INPUTS, HIDDEN, 1), [inits.build("torch")], [0], lag=STEPS - 1)
    place = next(network.architecture.layers())
    names = network.architecture.cell_shapes(place)
    p = {name: network.parameters[name + place.suffix].requires_grad_() for name in names}
    cell = cell.sized(INPUTS, HIDDEN)
    generator = torch.Generator().manual_seed(0)
    x_RTBI = torch.randn(1, STEPS, BATCH, INPUTS, generator=generator).requires_grad_()
    slope_RTBH = torch.randn(1, STEPS, BATCH, HIDDEN, generator=generator)
    state = cell.initial(torch.zeros(1, BATCH, HIDDEN), INPUTS)

    def fused() -> Tensor:
        return layer(cell, p, x_RTBI, state)[0]

    def stepped() -> Tensor:
        return SteppedCell.unroll(cell, p, cell.project(p, x_RTBI), state)[0]  # type: ignore[arg-type]

    def gradients(run: Callable[[], Tensor]) -> Callable[[], list[Tensor]]:
        return lambda: list(torch.autograd.grad(run(), [x_RTBI, *p.values()], slope_RTBH, allow_unused=True))

    found = {"fused": gradients(fused), "stepped": gradients(stepped)}
    for ours, theirs in zip(found["fused"](), found["stepped"](), strict=True):
        if theirs is not None:
            apart = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-6))
            assert apart < TOLERANCE, f"the kernel and the steps of {cell.label()} differ by {apart:.2g}"
    return found


def table(seconds: float, names: Sequence[str] = ()) -> pd.DataFrame:
    """Milliseconds of one pass, both ways, and the median of their ratio over paired readings: a row for each cell.

    Args:
        seconds: of readings for each cell.
        names: the cells; by default all that have a kernel.
    """
    keep_heap()  # as commands and workers do
    rows = []
    for name in names or cells.names():
        try:
            cell = cells.build(name)
        except ValueError:  # it cannot be built from its name alone
            continue
        if cell.kernel is None:
            continue
        timed = interleaved(passes(cell), seconds)
        ratio = float(np.median(timed["stepped"] / timed["fused"]))
        rows.append((cell.label(), *(1e3 * float(np.median(timed[side])) for side in ("fused", "stepped")), ratio))
    return pd.DataFrame(rows, columns=["cell", "fused", "stepped", "ratio"])


if __name__ == "__main__":  # only this table, in a minute
    torch.set_num_threads(1)
    print(table(1.5).round(2).to_string(index=False))
