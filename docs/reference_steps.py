"""The outputs of the cells of `torchrecurrent` with copied weights, one function for each.

A function gets the package, the parameters of a layer of ours, and inputs (B, T, I). The package has other orders of
the gates than farback.
"""

from __future__ import annotations

from typing import Any

import torch
from reference_outputs import HIDDEN, INPUTS, Parameters, upper
from torch import Tensor


def mgu(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """All names are the same."""
    return stepped(module.MGUCell(INPUTS, HIDDEN), p, x_BTI)


def antisymmetric(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """Their matrix is W - W' - gamma I too."""
    cell = module.AntisymmetricRNNCell(INPUTS, HIDDEN, epsilon=0.1, gamma=0.01)
    return stepped(cell, {**p, "weight_hh": upper(p["skew"])}, x_BTI)


def brc(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """Gate order a, c, h."""
    own = {name: ordered(p[name], 1, 0, 2) for name in ("weight_ih", "bias_ih")}
    return stepped(module.BRCell(INPUTS, HIDDEN), {**own, "weight_hh": torch.cat([p["w_a"], p["w_c"]])}, x_BTI)


def nbrc(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """Gate order a, c, h."""
    own = {name: ordered(p[name], 1, 0, 2) for name in ("weight_ih", "bias_ih")}
    return stepped(module.NBRCell(INPUTS, HIDDEN), {**own, "weight_hh": ordered(p["weight_hh"], 1, 0)}, x_BTI)


def ugrnn(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """Gate order c, g."""
    return stepped(module.UGRNNCell(INPUTS, HIDDEN), {name: ordered(value, 1, 0) for name, value in p.items()}, x_BTI)


def janet(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """Their beta is a parameter."""
    return stepped(module.JANETCell(INPUTS, HIDDEN), {**p, "beta": torch.tensor(1.0)}, x_BTI)


def indrnn(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """u is `vector_u`."""
    return stepped(module.IndRNNCell(INPUTS, HIDDEN, nonlinearity="relu"), {**p, "vector_u": p["u"]}, x_BTI)


def cornn(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """W_zh is `weight_ch`."""
    cell = module.coRNNCell(INPUTS, HIDDEN, dt=0.042, gamma=2.7, epsilon=4.7)
    return stepped(cell, {**p, "weight_ch": p["weight_zh"]}, x_BTI)


def lem(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """Gate order e, d, z, y. Every step is done twice.

    Their y_t reads z_{t-1}. In Rusch et al. 2022 and the authors' code (tk-rusch/LEM, psMNIST/network.py) it reads z_t,
    which is what the second call with the same y_{t-1} gives.
    """
    own = {name: ordered(p[name], 1, 0, 2, 3) for name in ("weight_ih", "bias_ih")}
    own |= {"weight_hh": ordered(p["weight_hh"], 1, 0, 2), "weight_ch": p["weight_zy"]}
    cell = loaded(module.LEMCell(INPUTS, HIDDEN), own)
    y = z = x_BTI.new_zeros(len(x_BTI), HIDDEN)
    outputs = []
    for x_BI in x_BTI.unbind(1):
        z = cell(x_BI, (y, z))[1]
        y = cell(x_BI, (y, z))[0]
        outputs.append(y)
    return torch.stack(outputs, 1)


def ordered(rows: Tensor, *gates: int) -> Tensor:
    """The rows of some gates, in another order of the gates."""
    parts = rows.chunk(len(gates))
    return torch.cat([parts[gate] for gate in gates])


def loaded(cell: Any, own: Parameters) -> Any:
    """The cell with these weights; biases that farback does not have are 0."""
    cell.double().load_state_dict({name: own.get(name, torch.zeros_like(v)) for name, v in cell.state_dict().items()})
    return cell


def stepped(cell: Any, own: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of a cell, (B, T, H): its state, or the first part of it."""
    loaded(cell, own)
    state, outputs = None, []
    for x_BI in x_BTI.unbind(1):
        state = cell(x_BI, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs, 1)
