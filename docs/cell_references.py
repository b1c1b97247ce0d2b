"""Compare cells with public implementations that have copied weights, and write the table as a page.

Usage: python docs/cell_references.py docs/reference/cell-references.md

The packages are optional; the page names those that are not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, silu, softplus

from farback import cells, inits
from farback.networks.network import Architecture, Network, draw, states

INPUTS, HIDDEN, STEPS, SEQUENCES = 6, 32, 40, 3
PAGE = """# Cells compared with public implementations

After this page you know which cells give the same outputs as an implementation by others.

Both have the same weights and read the same sequences: {sequences} of {steps} steps, {inputs} inputs, {hidden} units. \
The deviation is the largest difference between two outputs, divided by the largest output. It is near 1e-7 in float32 \
and near 1e-16 in float64 if both compute the same function. Some implementations compute in float32 only. Of fla-core \
(flash-linear-attention) and xlstm, only the files of plain torch are read, as their packages need Triton; projections \
and gates before the recurrence are then ours.

This page is made by:

```text
pip install {packages}
python docs/cell_references.py docs/reference/cell-references.md
```

| cell | implementation | version | precision | largest deviation |
| --- | --- | --- | --- | --- |
{rows}
"""

Parameters = dict[str, Tensor]


def cfc(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `ncps`, (B, T, H)."""
    cell = module.CfCCell(INPUTS, HIDDEN).double()
    heads = zip(p["weight_heads"].chunk(4), p["bias_heads"].chunk(4), strict=True)
    named = {"backbone.0.weight": torch.cat([p["weight_ih"], p["weight_state"]], 1), "backbone.0.bias": p["bias_ih"]}
    for name, (weight, bias) in zip(("ff1", "ff2", "time_a", "time_b"), heads, strict=True):
        named |= {f"{name}.weight": weight, f"{name}.bias": bias}
    cell.load_state_dict(named)
    h, outputs = x_BTI.new_zeros(len(x_BTI), HIDDEN), []
    for x_BI in x_BTI.unbind(1):
        h, _ = cell(x_BI, h, 1.0)
        outputs.append(h)
    return torch.stack(outputs, 1)


def mamba(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `mambapy`, without its convolution, gate and output layer, (B, T, H)."""
    rank, modes = p["step_weight"].shape[1], len(p["log_a"])
    config = module.MambaConfig(d_model=HIDDEN, n_layers=1, dt_rank=rank, d_state=modes, expand_factor=1, pscan=False)
    block = module.MambaBlock(config)
    own = {"A_log": p["log_a"].T, "D": p["skip"], "x_proj.weight": p["weight_v"]}
    own |= {"dt_proj.weight": p["step_weight"], "dt_proj.bias": p["step_bias"]}
    block.load_state_dict(own, strict=False)
    result: Tensor = block.ssm(x_BTI @ p["weight_ih"].T + p["bias_ih"], None)
    return result


def s5(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `s5-pytorch`, (B, T, H); C is doubled, because it adds no conjugate modes."""
    eye = torch.eye(HIDDEN, dtype=torch.complex64)
    start = torch.complex(p["lambda_re"], p["lambda_im"])
    layer = module.S5SSM(start, eye, eye, HIDDEN, HIDDEN, 0.001, 0.1, bcInit="complex_normal")
    B_re, B_im, D = p["weight_ih"].chunk(3)
    own = {"Lambda": start, "B": torch.stack([B_re, B_im], -1), "D": D.diagonal(), "log_step": p["log_step"]}
    layer.load_state_dict(own | {"C": 2 * torch.complex(p["weight_re"], p["weight_im"])})
    return torch.stack([layer(x_TI, state=torch.zeros(HIDDEN, dtype=start.dtype)) for x_TI in x_BTI])


def mingru(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `minGRU-pytorch`, (B, T, H)."""
    layer = module.minGRU(HIDDEN).double()
    write, candidate = p["weight_ih"].chunk(2)
    layer.load_state_dict({"to_hidden_and_gate.weight": torch.cat([candidate, write])})
    result: Tensor = layer(x_BTI)
    return result


def mgu(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `torchrecurrent`, (B, T, H)."""
    cell = module.MGUCell(INPUTS, HIDDEN).double()
    cell.load_state_dict({name: p[name] for name in cell.state_dict()})
    h, outputs = x_BTI.new_zeros(len(x_BTI), HIDDEN), []
    for x_BI in x_BTI.unbind(1):
        h = cell(x_BI, h)
        outputs.append(h)
    return torch.stack(outputs, 1)


def delta_rule(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `delta_rule_recurrence`, (B, T, H), for one head."""
    q, k, v = silu(x_BTI @ p["weight_ih"].T).unsqueeze(1).chunk(3, -1)
    beta = torch.sigmoid(x_BTI @ p["weight_beta"].T).unsqueeze(1)
    outputs: Tensor = module.delta_rule_recurrence(unit(q), unit(k), v, beta)[0]
    return outputs.squeeze(1)


def gated_delta_rule(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `naive_recurrent_gated_delta_rule`, (B, T, H), for one head."""
    q, k, v = silu(x_BTI @ p["weight_ih"].T).unsqueeze(2).chunk(3, -1)
    beta = torch.sigmoid(x_BTI @ p["weight_beta"].T)
    decay = -torch.exp(p["A_log"]) * softplus(x_BTI @ p["weight_alpha"].T + p["dt_bias"])
    outputs: Tensor = module.naive_recurrent_gated_delta_rule(unit(q), unit(k), v, beta, decay)[0]
    return outputs.squeeze(2)


def gla(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `naive_recurrent_gla`, (B, T, H), for one head."""
    q, k, v = (x_BTI @ p["weight_ih"].T).unsqueeze(2).chunk(3, -1)
    decay = logsigmoid(x_BTI @ p["weight_low"].T @ p["weight_decay"].T + p["bias_decay"]) / 16
    outputs: Tensor = module.naive_recurrent_gla(q, k, v, decay.unsqueeze(2))[0]
    return outputs.squeeze(2)


def retnet(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `naive_retention`, (B, T, H), for one head, whose queries and keys are rotated here."""
    q, k, v = (x_BTI @ p["weight_ih"].T).unsqueeze(1).chunk(3, -1)
    half = HIDDEN // 2
    angle = torch.outer(torch.arange(STEPS), 10_000.0 ** (-2 * torch.arange(half) / HIDDEN))
    cos, sin = torch.cos(angle), torch.sin(angle)

    def turned(part: Tensor) -> Tensor:
        a, b = torch.split(part, half, -1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    outputs: Tensor = module.naive_retention(turned(q), turned(k), v)
    return outputs.squeeze(1)


def mlstm(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `recurrent_step_stabilized_simple`, times the output gate, (B, T, H), for one head."""
    *qkv, o = (x_BTI @ p["weight_ih"].T + p["bias_ih"]).chunk(4, -1)
    gates = x_BTI @ p["weight_if"].T + torch.cat([p["b_i"], p["b_f"]])
    B, outputs = len(x_BTI), []
    state = tuple(x_BTI.new_zeros(B, 1, *shape) for shape in ((HIDDEN, HIDDEN), (HIDDEN, 1), (1, 1)))
    for t in range(x_BTI.shape[1]):
        rows = [part[:, None, None, t].clone() for part in qkv]
        h, state = module.recurrent_step_stabilized_simple(
            *state, *rows, *torch.split(gates[:, None, None, t], 1, -1), eps=0.0
        )
        outputs.append(torch.sigmoid(o[:, t]) * h.reshape(B, HIDDEN))
    return torch.stack(outputs, 1)


def slstm(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `slstm_forward_pointwise`, (B, T, H)."""
    bias, states, outputs = (p["bias_ih"] + p["bias_hh"])[None], x_BTI.new_zeros(4, len(x_BTI), HIDDEN), []
    for x_BI in x_BTI.unbind(1):
        states, _ = module.slstm_forward_pointwise(
            x_BI @ p["weight_ih"].T, states[0] @ p["weight_hh"].T, bias, states, {}
        )
        outputs.append(states[0])
    return torch.stack(outputs, 1)


def unit(x: Tensor) -> Tensor:
    """Rows divided by their lengths, as `l2norm` of flash-linear-attention does."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


Reference = Callable[[Any, Parameters, Tensor], Tensor]
# Cell, package, module of the package (a file, if its package imports Triton), function, precision, number of inputs.
REFERENCES: list[tuple[str, str, str, Reference, torch.dtype, int]] = [
    ("cfc", "ncps", "ncps.torch.cfc_cell", cfc, torch.float64, INPUTS),
    ("deltanet", "fla-core", "fla/ops/delta_rule/naive.py", delta_rule, torch.float32, INPUTS),
    ("gated_deltanet", "fla-core", "fla/ops/gated_delta_rule/naive.py", gated_delta_rule, torch.float32, INPUTS),
    ("gla", "fla-core", "fla/ops/gla/naive.py", gla, torch.float32, INPUTS),
    ("mamba", "mambapy", "mambapy.mamba", mamba, torch.float32, INPUTS),
    ("mgu", "torchrecurrent", "torchrecurrent", mgu, torch.float64, INPUTS),
    ("mingru", "minGRU-pytorch", "minGRU_pytorch.minGRU", mingru, torch.float64, HIDDEN),
    ("mlstm", "xlstm", "xlstm/blocks/mlstm/backends.py", mlstm, torch.float64, INPUTS),
    ("retnet", "fla-core", "fla/ops/retention/naive.py", retnet, torch.float32, INPUTS),
    ("s5", "s5-pytorch", "s5.s5_model", s5, torch.float32, HIDDEN),
    ("slstm", "xlstm", "xlstm/blocks/slstm/src/vanilla/slstm.py", slstm, torch.float64, INPUTS),
]


def drawn(cell: str, dtype: torch.dtype, inputs: int) -> Network:
    """A network of one layer; without what an implementation lacks: biases of minGRU, D between units of S5."""
    network = draw(Architecture(cells.build(cell), inputs, HIDDEN, 0), [inits.build("torch")], [0], 5, dtype)
    if cell == "mingru":
        network.parameters["bias_ih_l0"].zero_()
    if cell == "s5":
        D = network.parameters["weight_ih_l0"][0, 2 * HIDDEN :]
        D.copy_(torch.diag(D.diagonal()))
    return network


def loaded(package: str, module: str) -> Any:
    """A module of an installed package, or a file of it as a module of its own."""
    if not module.endswith(".py"):
        return import_module(module)
    spec = spec_from_file_location(Path(module).parent.name, str(distribution(package).locate_file(module)))
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


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
    ours, theirs = states(network, x_BTI), reference(loaded(package, module), p, x_BTI)
    deviation = ((ours - theirs).abs().max() / ours.abs().max()).item()
    return f"| `{cell}` | {package} | {found} | {precision} | {deviation:.0e} |"


def main() -> None:
    """Write the page."""
    packages = " ".join(sorted({package for _, package, *_ in REFERENCES}, key=str.lower))
    sizes = {"inputs": f"{INPUTS} or {HIDDEN}", "hidden": HIDDEN, "steps": STEPS, "sequences": SEQUENCES}
    rows = "\n".join(row(*reference) for reference in REFERENCES)
    Path(sys.argv[1]).write_text(PAGE.format(rows=rows, packages=packages, **sizes))


if __name__ == "__main__":
    main()
