"""Compare cells with public implementations that have copied weights, and write the table as a page.

Usage: python docs/cell_references.py docs/reference/cell-references.md

The packages are optional; the page names those that are not installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import reference_outputs as outputs
import reference_steps as steps
import torch
from reference_outputs import HIDDEN, INPUTS, SEQUENCES, STEPS, Parameters
from torch import Tensor

from farback import cells, inits
from farback.networks.network import Architecture, Network, draw, states

PAGE = """# Cells compared with public implementations

After this page you know which cells give the same outputs as an implementation by others.

Both have the same weights and read the same sequences: {sequences} of {steps} steps, {inputs} inputs, {hidden} units. \
The deviation is the largest difference between two outputs, divided by the largest output. It is near 1e-7 in float32 \
and near 1e-16 in float64 if both compute the same function. Some implementations compute in float32 only. Of fla-core \
(flash-linear-attention), recurrentgemma and xlstm, only the files of plain torch are read, as their packages need \
Triton or JAX; of fla-core and xlstm, projections and gates before the recurrence are then ours. Of `attention` the \
rotation and the projections are ours, of `exprnn` all but the orthogonal matrix. `rwkv` computes exp(-1/2) as \
0.606531. The LEM of torchrecurrent computes y from the z of the step before, where the authors' code (tk-rusch/LEM) \
has the present z; here each of its steps is done twice, so that the second reads the present z.

Not compared: `lru` and `s4d` (lrnnx needs CUDA), `linoss` (discretax needs Python 3.12), and cells of which we know \
no package. The tests compare them with their equations in NumPy.

This page is made by:

```text
pip install einops jaxtyping
pip install --no-deps {packages}
python docs/cell_references.py docs/reference/cell-references.md
```

| cell | implementation | version | precision | largest deviation |
| --- | --- | --- | --- | --- |
{rows}
"""

Reference = Callable[[Any, Parameters, Tensor], Tensor]
# Cell, package, module, function, precision, number of inputs.
REFERENCES: list[tuple[str, str, str, Reference, torch.dtype, int]] = [
    ("antisymmetric", "torchrecurrent", "torchrecurrent", steps.antisymmetric, torch.float64, INPUTS),
    ("attention", "torch", "torch.nn.functional", outputs.attention, torch.float64, INPUTS),
    ("brc", "torchrecurrent", "torchrecurrent", steps.brc, torch.float64, INPUTS),
    ("cfc", "ncps", "ncps.torch.cfc_cell", outputs.cfc, torch.float64, INPUTS),
    ("cornn", "torchrecurrent", "torchrecurrent", steps.cornn, torch.float64, INPUTS),
    ("deltanet", "fla-core", "fla.ops.delta_rule.naive", outputs.delta_rule, torch.float32, INPUTS),
    ("elman", "torch", "torch.nn", outputs.torch_nn, torch.float64, INPUTS),
    ("exprnn", "torch", "torch.nn.utils.parametrizations", outputs.exprnn, torch.float64, INPUTS),
    ("gated_deltanet", "fla-core", "fla.ops.gated_delta_rule.naive", outputs.gated_delta_rule, torch.float32, INPUTS),
    ("gla", "fla-core", "fla.ops.gla.naive", outputs.gla, torch.float32, INPUTS),
    ("gru", "torch", "torch.nn", outputs.torch_nn, torch.float64, INPUTS),
    ("hgrn2", "fla-core", "fla.ops.gla.naive", outputs.hgrn2, torch.float32, INPUTS),
    ("indrnn", "torchrecurrent", "torchrecurrent", steps.indrnn, torch.float64, INPUTS),
    ("janet", "torchrecurrent", "torchrecurrent", steps.janet, torch.float64, INPUTS),
    ("lem", "torchrecurrent", "torchrecurrent", steps.lem, torch.float64, INPUTS),
    ("lstm", "torch", "torch.nn", outputs.torch_nn, torch.float64, INPUTS),
    ("mamba", "mambapy", "mambapy.mamba", outputs.mamba, torch.float32, INPUTS),
    ("mamba2", "fla-core", "fla.ops.simple_gla.naive", outputs.mamba2, torch.float32, INPUTS),
    ("mgu", "torchrecurrent", "torchrecurrent", steps.mgu, torch.float64, INPUTS),
    ("mingru", "minGRU-pytorch", "minGRU_pytorch.minGRU", outputs.mingru, torch.float64, HIDDEN),
    ("mlstm", "xlstm", "xlstm.blocks.mlstm.backends", outputs.mlstm, torch.float64, INPUTS),
    ("nbrc", "torchrecurrent", "torchrecurrent", steps.nbrc, torch.float64, INPUTS),
    ("retnet", "fla-core", "fla.ops.retention.naive", outputs.retnet, torch.float32, INPUTS),
    ("rg_lru", "recurrentgemma", "recurrentgemma.torch.layers", outputs.rg_lru, torch.float32, INPUTS),
    ("rwkv7", "rwkv", "rwkv.model", outputs.rwkv7, torch.float32, HIDDEN),
    ("s5", "s5-pytorch", "s5.s5_model", outputs.s5, torch.float32, HIDDEN),
    ("slstm", "xlstm", "xlstm.blocks.slstm.src.vanilla.slstm", outputs.slstm, torch.float64, INPUTS),
    ("tcn", "pytorch-tcn", "pytorch_tcn.tcn", outputs.tcn, torch.float64, INPUTS),
    ("ugrnn", "torchrecurrent", "torchrecurrent", steps.ugrnn, torch.float64, INPUTS),
]
FILES = "fla", "recurrentgemma", "xlstm"  # packages of which single files are read, because they import Triton or JAX


def drawn(cell: str, dtype: torch.dtype, inputs: int) -> Network:
    """A network of one layer; without what an implementation lacks: biases of minGRU, D between units of S5."""
    network = draw(Architecture(cells.build(cell), inputs, HIDDEN, 0), [inits.build("torch")], [0], 5, dtype)
    if cell == "mingru":
        network.parameters["bias_ih_l0"].zero_()
    if cell == "s5":
        D = network.parameters["weight_ih_l0"][0, 2 * HIDDEN :]
        D.copy_(torch.diag(D.diagonal()))
    return network


def loaded(module: str) -> Any:
    """A module; of a package in `FILES` without running what the package runs when it is imported."""
    parents = module.split(".")[:-1]
    for depth in range(1, len(parents) + 1 if parents[:1] and parents[0] in FILES else 0):
        name = ".".join(parents[:depth])
        if name not in sys.modules:
            spec = find_spec(name)
            assert spec is not None
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = list(spec.submodule_search_locations or ())
    with patch("torch.jit.script", lambda function: function):  # so that `rwkv7` can leave out a norm
        return import_module(module)


@torch.no_grad()
def row(cell: str, package: str, module: str, reference: Reference, dtype: torch.dtype, inputs: int) -> str:
    """A row of the table."""
    precision = str(dtype).removeprefix("torch.")
    try:
        found = version(package)
    except PackageNotFoundError:
        return f"| `{cell}` | {package} | not installed | {precision} | not compared |"
    network = drawn(cell, dtype, inputs)
    x_BTI = torch.randn(SEQUENCES, STEPS, inputs, dtype=dtype, generator=torch.Generator().manual_seed(0))
    p = {name.removesuffix("_l0"): value[0] for name, value in network.parameters.items()}
    ours, theirs = states(network, x_BTI), reference(loaded(module), p, x_BTI)
    deviation = ((ours - theirs).abs().max() / ours.abs().max()).item()
    return f"| `{cell}` | {package} | {found} | {precision} | {deviation:.0e} |"


def main() -> None:
    """Write the page."""
    os.environ["RWKV_V7_ON"] = "1"  # read by `rwkv` when it is imported
    packages = " ".join(sorted({package for _, package, *_ in REFERENCES} - {"torch"}, key=str.lower))
    sizes = {"inputs": f"{INPUTS} or {HIDDEN}", "hidden": HIDDEN, "steps": STEPS, "sequences": SEQUENCES}
    rows = "\n".join(row(*reference) for reference in REFERENCES)
    Path(sys.argv[1]).write_text(PAGE.format(rows=rows, packages=packages, **sizes))


if __name__ == "__main__":
    main()
