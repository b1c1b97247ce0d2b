"""Blocks around cells: a plain statement in NumPy, torch's own norms and convolution, the laws, sizes and trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from farback import cells, inits
from farback.measures.gate_times import gate_times
from farback.networks.block import Block
from farback.networks.network import Architecture, Network, NetworkState, draw, to_torch
from farback.trials.trial import Trial

WHOLE = Block(norm="layer", residual=True, conv=4, gate="silu", mlp=2)
SOME = Block(norm="rms", conv=4, mlp=2)  # without a residual path
FORMS = [("lstm", WHOLE, True), ("lstm", SOME, False), ("lru", WHOLE, False), ("elman", SOME, True)]
Make = Callable[..., Trial]


def network_of(cell: str, block: Block, both: bool = False, replicas: int = 1, **changed: Any) -> Network:
    """Two layers of five units on three inputs, in double precision, with noise on every parameter."""
    fields = {"outputs": 2, "depth": 2, "bidirectional": both, "block": block, **changed}
    architecture = Architecture(cells.build(cell), 3, 5, **fields)
    network = draw(architecture, [inits.build("torch")] * replicas, range(replicas), lag=4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    noisy = {
        name: (value + 0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for name, value in network.parameters.items()
    }
    return dataclasses.replace(network, parameters=noisy)


def sequences(network: Network, steps: int = 7, batch: int = 2) -> Tensor:
    shape = (network.replicas, steps, batch, 3)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def parts(state: NetworkState) -> list[Tensor]:
    return [part for layer in state for part in layer]


def stated(network: Network, x_TI: np.ndarray) -> np.ndarray:
    """The outputs of one replica of RNNs in blocks, as their equations say, one step and one layer at a time."""
    p = {name: value[0].detach().numpy() for name, value in network.parameters.items()}
    block, depth = network.architecture.block, network.architecture.depth

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        if block.norm == "layer":
            return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * p[f"{name}.weight{at}"] + p[f"{name}.bias{at}"]
        return x / np.sqrt((x**2).mean() + 1e-5) * p[f"{name}.weight{at}"]

    def silu(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    x_TI = np.array([p["projection.weight"] @ x + p["projection.bias"] for x in x_TI])
    for at in (f"_l{layer}" for layer in range(depth)):
        seen, h, outputs = [np.zeros(x_TI.shape[1])] * 3, np.zeros(5), []
        for x in x_TI:
            n = norm("block.norm", x)
            seen.append(n)
            w = p[f"block.conv.weight{at}"]
            u = p[f"block.conv.bias{at}"] + sum(w[:, j] * seen[len(seen) - 4 + j] for j in range(4))
            h = np.tanh(p[f"weight_ih{at}"] @ u + p[f"bias_ih{at}"] + p[f"weight_hh{at}"] @ h + p[f"bias_hh{at}"])
            y = h * silu(p[f"block.gate.weight{at}"] @ n) if block.gate == "silu" else h
            y = x + y if block.residual else y
            n = norm("block.mlp_norm", y)
            wide = silu(p[f"block.mlp_1.weight{at}"] @ n) * (p[f"block.mlp_3.weight{at}"] @ n)
            outputs.append(p[f"block.mlp_2.weight{at}"] @ wide + (y if block.residual else 0))
        x_TI = np.array(outputs)
    return x_TI


@pytest.mark.parametrize("block", [WHOLE, SOME], ids=str)
def test_a_block_computes_its_equations(block: Block) -> None:
    network = network_of("elman", block)
    x = sequences(network)
    outputs = network.run(x)[0].detach()
    for b in range(x.shape[2]):
        np.testing.assert_allclose(outputs[0, :, b], stated(network, x[0, :, b].numpy()), rtol=1e-10, atol=1e-12)


def test_norms_and_convolution_are_those_of_torch() -> None:
    """With `memoryless` in one layer, whose output is linear in what it receives, all else can be undone."""
    network = network_of("memoryless", Block(norm="layer", conv=4), depth=1)
    p, x = {name: value[0] for name, value in network.parameters.items()}, sequences(network)
    projected = functional.linear(x[0], p["projection.weight"], p["projection.bias"])
    n = functional.layer_norm(projected, (5,), p["block.norm.weight_l0"], p["block.norm.bias_l0"], 1e-5)
    padded = functional.pad(n.permute(1, 2, 0), (3, 0))
    u = functional.conv1d(padded, p["block.conv.weight_l0"].unsqueeze(1), p["block.conv.bias_l0"], groups=5)
    cell = Architecture(cells.build("memoryless"), 5, 5, 0)
    own = {name: value for name, value in network.parameters.items() if name in cell.shapes()}
    expected = Network(cell, own).run(u.permute(2, 0, 1).unsqueeze(0))[0]
    torch.testing.assert_close(network.run(x)[0], expected)
    block = Block(norm="rms")
    found = block.normed("norm", {"norm.weight": p["block.norm.weight_l0"][None]}, projected[None])[0]
    torch.testing.assert_close(found, functional.rms_norm(projected, (5,), p["block.norm.weight_l0"], 1e-5))


# Laws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "block", "both"), FORMS, ids=str)
def test_packed_equals_alone_bit_for_bit(cell: str, block: Block, both: bool) -> None:
    """Outputs, states and all gradients; so replicas never meet either."""
    packed = network_of(cell, block, both, replicas=4)
    packed = dataclasses.replace(packed, parameters={n: v.detach().float() for n, v in packed.parameters.items()})
    x = sequences(packed, 5, 3).float()
    together = outcome(packed, x)
    for rows in ([0], [3], [2, 1]):
        alone = outcome(
            dataclasses.replace(packed, parameters={n: v[rows] for n, v in packed.parameters.items()}), x[rows]
        )
        assert all(torch.equal(a, b[rows]) for a, b in zip(alone, together, strict=True))


def outcome(network: Network, x: Tensor) -> list[Tensor]:
    leaves = {name: value.clone().requires_grad_() for name, value in network.parameters.items()}
    own = dataclasses.replace(network, parameters=leaves)
    outputs, state = own.run(x)
    trained = [value for name, value in leaves.items() if not name.startswith("readout")]
    weight = torch.cos(torch.arange(outputs[0].numel())).view(outputs.shape[1:])
    return [outputs, *parts(state), *torch.autograd.grad((outputs * weight).sum(), trained)]


@pytest.mark.parametrize(("cell", "block"), [("lstm", WHOLE), ("mingru", SOME)], ids=str)
def test_any_split_with_carried_state_gives_the_same_outputs(cell: str, block: Block) -> None:
    network = network_of(cell, block, learned_state=True)
    x = sequences(network)
    whole, last = network.run(x)
    for cut in (1, 4, 6):
        first, carried = network.run(x[:, :cut])
        second, end = network.run(x[:, cut:], carried)
        torch.testing.assert_close(torch.cat([first, second], 1), whole)
        torch.testing.assert_close(parts(end), parts(last))
    assert sum(part[0, 0].numel() for part in parts(last)) == network.architecture.state_count


@pytest.mark.parametrize(("cell", "block", "both"), FORMS, ids=str)
def test_gradients_are_the_derivatives_and_reach_every_parameter(cell: str, block: Block, both: bool) -> None:
    network = network_of(cell, block, both, learned_state=not both)
    names = [name for name in network.parameters if not name.startswith("readout")]
    x = sequences(network, 5).requires_grad_()

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return dataclasses.replace(network, parameters=dict(zip(names, values, strict=True))).run(x)[0]

    values = [network.parameters[name] for name in names]
    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)
    grads = torch.autograd.grad(run(x, *values).square().sum(), values)
    assert [name for name, grad in zip(names, grads, strict=True) if not grad.any()] == []


@pytest.mark.parametrize("block", [WHOLE, SOME], ids=str)
def test_selected_outputs_are_those_of_all(block: Block) -> None:
    network = network_of("gru", block, replicas=2)
    x, index_RN = sequences(network), torch.tensor([[0, 3, 13], [1, 2, 12]])
    whole = network.run(x)[0].flatten(1, 2)
    found = network.run(x, index_RN=index_RN)[0]
    torch.testing.assert_close(found, torch.stack([whole[0, index_RN[0]], whole[1, index_RN[1]]]))


def test_truncation_also_cuts_the_convolution() -> None:
    """The loss at the last of ten steps has a gradient at the last four inputs only."""
    network = dataclasses.replace(network_of("lstm", WHOLE), truncate=4)
    x = sequences(network, 10).requires_grad_()
    (grad,) = torch.autograd.grad(network.run(x)[0][:, -1].sum(), x)
    assert not grad[:, :6].any()
    assert grad[:, 6:].any(-1).all()


# Sizes, measures, conversion -------------------------------------------------------------------------------------


def test_every_part_is_counted() -> None:
    """Two layers of 5 LSTMs on 3 inputs: sizes written out from the equations."""
    own, whole = (network_of("lstm", block).architecture.counts for block in (Block(), WHOLE))
    wider = 4 * 5 * (5 - 3)  # the first layer receives 5 numbers instead of 3
    matrices = wider + 5 * 3 + 2 * (5 * 5 + 3 * 10 * 5) + 2 * 4 * 5  # projection, gates, MLPs, convolutions
    vectors = 5 + 2 * (4 * 5 + 5)  # of the projection; two norms with two vectors, and a convolution's bias
    assert whole["parameters"] - own["parameters"] == matrices + vectors
    assert whole["state"] - own["state"] == 2 * 3 * 5
    assert whole["flops"] - own["flops"] == 2 * matrices


def test_gates_are_read_behind_a_block() -> None:
    """A convolution that only passes its inputs on changes no gate."""
    network = network_of("lstm", Block(conv=4))
    plain = network_of("lstm", Block())
    same = {
        name: torch.zeros_like(value) if "conv" in name else plain.parameters[name]
        for name, value in network.parameters.items()
    }
    for layer in range(2):
        same[f"block.conv.weight_l{layer}"][..., -1] = 1
    x = sequences(network)[0]
    found, expected = (gate_times(one, x) for one in (dataclasses.replace(network, parameters=same), plain))
    np.testing.assert_allclose(found.log_keep, expected.log_keep)
    assert len(gate_times(network_of("lstm", WHOLE), x).layer) == 10


def test_torch_has_no_blocks() -> None:
    with pytest.raises(ValueError, match=r"no block around the cell; this network has norm layer, residual, conv 4"):
        to_torch(network_of("lstm", WHOLE))


# Trials ----------------------------------------------------------------------------------------------------------


def test_a_block_without_parts_is_the_same_trial(trial_of: Make) -> None:
    same = [trial_of(), trial_of(block=None), trial_of(block="none"), trial_of(block={}), trial_of(block={"mlp": 0})]
    assert len({trial.key for trial in same}) == 1
    assert {trial.label for trial in same} == {trial_of().label}


def test_a_cell_has_its_published_block_unless_another_is_given(
    trial_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(cells.build("gru")), "published_block", {"norm": "rms", "residual": True})
    absent, alone = trial_of(cell="gru"), trial_of(cell="gru", block="none")
    assert absent.architecture.block == Block(norm="rms", residual=True)
    assert alone.architecture.block == Block()
    assert trial_of(cell="gru", block={"residual": True, "norm": "rms"}).key == absent.key != alone.key
    assert (absent.label, alone.label) == ("GRU", "GRU, no block")
    assert trial_of(cell="gru", block={"conv": 4}).label == "GRU, block (conv 4)"
    assert absent.parameters()["block.norm"] == "rms"


@pytest.mark.parametrize(
    ("block", "hidden", "message"),
    [
        ("rms", 8, r"block is none or a mapping such as {norm: rms, residual: true}, got 'rms'"),
        ({"norm": "batch"}, 8, "'none', 'layer' or 'rms'"),
        ({"conv": 3}, 8, "0 or 4"),
        ({"norm": "layer"}, 2, "norm: layer needs layers of at least 3 units, and they have 2"),
        ({"norm": "rms"}, 1, "norm: rms needs layers of at least 2 units, and they have 1"),
    ],
    ids=str,
)
def test_a_block_that_cannot_be_is_refused(block: Any, hidden: int, message: str, trial_of: Make) -> None:
    with pytest.raises(ValueError, match=message):
        trial_of(block=block, hidden=hidden)
