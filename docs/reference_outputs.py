"""The outputs of public implementations with copied weights, one function for each.

A function gets a module, the parameters of a layer of ours, and inputs (B, T, I).
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, silu, softplus

INPUTS, HIDDEN, STEPS, SEQUENCES = 6, 32, 40, 3
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
    outputs: Tensor = module.naive_retention(rotated(q), rotated(k), v)
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


def hgrn2(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `naive_recurrent_gla`, which HGRN2 calls, (B, T, H), for one head."""
    q, f, i = (x_BTI @ p["weight_ih"].T).unsqueeze(2).chunk(3, -1)
    outputs: Tensor = module.naive_recurrent_gla(silu(q), 1 - torch.sigmoid(f), i, logsigmoid(f))[0]
    return outputs.squeeze(2)


def mamba2(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `naive_recurrent_simple_gla`, plus D u, (B, T, H), for one head."""
    B, C = silu(x_BTI @ p["weight_bc"].T).unsqueeze(2).chunk(2, -1)
    u, dt = silu(x_BTI @ p["weight_ih"].T), softplus(x_BTI @ p["weight_dt"].T + p["dt_bias"])
    written, decay = (dt * u).unsqueeze(2), -torch.exp(p["A_log"]) * dt
    outputs: Tensor = module.naive_recurrent_simple_gla(C, B, written, decay, scale=1.0)[0]
    return outputs.squeeze(2) + p["D"] * u


def rwkv7(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `RWKV_x070_TMix_seq`, (B, T, H), for one head, without its norm, gate and output layer."""
    mixes = [p[name] for name in ("x_r", "x_w", "x_k", "x_v", "x_a")] + [torch.zeros(HIDDEN)]
    low = [p["w0"], p["weight_w1"].T, p["weight_w2"].T, p["a0"], p["weight_a1"].T, p["weight_a2"].T, None, None, None]
    gate = [torch.zeros(HIDDEN, 1), torch.full((1, HIDDEN), 2.0)]  # sigmoid(0) * 2 = 1
    weights = [part.T for part in p["weight_ih"].chunk(3)] + [torch.eye(HIDDEN), None, None]
    start = torch.zeros(HIDDEN), None, torch.zeros(1, HIDDEN, HIDDEN)
    rest = [*mixes, *low, *gate, p["k_k"], p["k_a"], p["r_k"], *weights]
    with patch("torch.nn.functional.group_norm", lambda x, **_: x):
        return torch.stack([module.RWKV_x070_TMix_seq(0, 1, HIDDEN, x_TI, *start, *rest)[0] for x_TI in x_BTI])


def rg_lru(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `recurrentgemma`, (B, T, H), whose first step is told to be a later one."""
    layer = module.RGLRU(HIDDEN, 1)
    r, i = (weight.T[None] for weight in p["weight_gates"].chunk(2))
    b_r, b_i = (bias[None] for bias in p["bias_gates"].chunk(2))
    own = {"a_param": p["decay"], "a_gate.w": r, "a_gate.b": b_r, "input_gate.w": i, "input_gate.b": b_i}
    layer.load_state_dict(own)
    v_BTH = x_BTI @ p["weight_ih"].T + p["bias_ih"]
    outputs: Tensor = layer(v_BTH, torch.ones(x_BTI.shape[:2], dtype=torch.int64))[0]
    return outputs


def tcn(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `pytorch-tcn`, (B, T, H), the second convolution of whose blocks returns its inputs."""
    y_BIT = x_BTI.mT
    for name, dilation in (("ih", 1), ("1", 2), ("2", 4)):
        width, weight = y_BIT.shape[1], p[f"weight_{name}"]
        options = {"dropout": 0.0, "causal": True, "use_norm": None, "activation": "relu", "use_gate": False}
        unused = {"kerner_initializer": "xavier_uniform", "embedding_shapes": None, "embedding_mode": "add"}
        block = module.TemporalBlock(width, HIDDEN, 3, 1, dilation, **options, **unused).double()
        own = {name: torch.zeros_like(value) for name, value in block.state_dict().items()}
        own["conv1.weight"], own["conv1.bias"] = weight.reshape(HIDDEN, 3, width).mT, p[f"bias_{name}"]
        own["conv2.weight"][:, :, -1] = torch.eye(HIDDEN)
        block.load_state_dict(own)
        y_BIT = block(y_BIT, None, False)[0]
    return y_BIT.mT


def torch_nn(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `torch.nn.RNN`, `GRU` or `LSTM`, (B, T, H)."""
    kind = {1: "RNN", 3: "GRU", 4: "LSTM"}[len(p["weight_ih"]) // HIDDEN]
    layer = getattr(module, kind)(INPUTS, HIDDEN, batch_first=True).double()
    layer.load_state_dict({f"{name}_l0": value for name, value in p.items()})
    outputs: Tensor = layer(x_BTI)[0]
    return outputs


def attention(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs of `scaled_dot_product_attention`, (B, T, H), for one head; the rotation and products are ours."""
    q, k, v = (x_BTI @ p["weight_ih"].T + p["bias_ih"]).chunk(3, -1)
    outputs: Tensor = module.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
    return outputs @ p["weight_out"].T


def exprnn(module: Any, p: Parameters, x_BTI: Tensor) -> Tensor:
    """The outputs with the matrix of `torch.nn.utils.parametrizations.orthogonal`, (B, T, H); the steps are ours."""
    layer = torch.nn.Linear(HIDDEN, HIDDEN, bias=False).double()
    layer = module.orthogonal(layer, orthogonal_map="matrix_exp", use_trivialization=False)
    layer.parametrizations.weight.original.copy_(-upper(p["skew"]).T)
    h, outputs = x_BTI.new_zeros(len(x_BTI), HIDDEN), []
    for x_BI in x_BTI.unbind(1):
        h = layer(h) + x_BI @ p["weight_ih"].T + p["bias_ih"]
        h = torch.sign(h) * torch.relu(h.abs() + p["offset"])
        outputs.append(h)
    return torch.stack(outputs, 1)


def unit(x: Tensor) -> Tensor:
    """Rows divided by their lengths, as `l2norm` of flash-linear-attention does."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def rotated(x: Tensor) -> Tensor:
    """Each number of step t, the last axis but one, turned with its partner half a row away by an angle t theta_i."""
    half = HIDDEN // 2
    rate = 10_000.0 ** (-2 * torch.arange(half, dtype=x.dtype) / HIDDEN)
    angle = torch.outer(torch.arange(STEPS, dtype=x.dtype), rate)
    a, b = torch.split(x, half, -1)
    return torch.cat([a * torch.cos(angle) - b * torch.sin(angle), a * torch.sin(angle) + b * torch.cos(angle)], -1)


def upper(entries: Tensor) -> Tensor:
    """The strictly upper triangular matrix with these entries, row by row."""
    matrix = entries.new_zeros(HIDDEN, HIDDEN)
    matrix[tuple(torch.triu_indices(HIDDEN, HIDDEN, 1))] = entries
    return matrix
