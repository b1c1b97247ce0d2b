"""Attention and dilated convolutions: plain statements, torch's convolution, and the exact number of steps they see."""

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
from farback.measures.causal_reach import causal_reach
from farback.networks.block import NO_BLOCK, Block, published
from farback.networks.network import Architecture, Network, draw
from farback.trials.trial import Trial

Make = Callable[..., Trial]
FULL, WINDOW = {"name": "attention"}, {"name": "attention", "window": 3}


def network_of(cell: Any, hidden: int = 6, block: Block = NO_BLOCK, **fields: Any) -> Network:
    """A network on two inputs, in double precision."""
    architecture = Architecture(cells.build(cell), 2, hidden, 0, block=block, **fields)
    return draw(architecture, [inits.build("torch")], [0], lag=4, dtype=torch.float64)


def sequences(steps: int, batch: int = 2) -> Tensor:
    shape = (1, steps, batch, 2)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def attended(p: dict[str, np.ndarray], x_TI: np.ndarray, heads: int, window: int | None) -> np.ndarray:
    """Attention as its equations say, pair by pair, with rotary positions as products of complex numbers."""
    q_TH, k_TH, v_TH = np.split(x_TI @ p["weight_ih_l0"].T + p.get("bias_ih_l0", 0), 3, axis=1)
    T, d = len(x_TI), q_TH.shape[1] // heads
    half = d // 2
    outputs = []
    for t in range(T):
        first = 0 if window is None else max(0, t - window + 1)
        parts = []
        for at in range(0, heads * d, d):
            scores = []
            for j in range(first, t + 1):
                q, k = q_TH[t, at : at + d], k_TH[j, at : at + d]
                turn = np.exp(1j * (j - t) * 10_000.0 ** (-2 * np.arange(half) / d))
                pairs = (q[:half] - 1j * q[half : 2 * half]) * (k[:half] + 1j * k[half : 2 * half]) * turn
                scores.append((pairs.real.sum() + q[2 * half :] @ k[2 * half :]) / np.sqrt(d))
            shares = np.exp(scores) / np.exp(scores).sum()
            parts.append(shares @ v_TH[first : t + 1, at : at + d])
        outputs.append(p["weight_out_l0"] @ np.concatenate(parts))
    return np.array(outputs)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_attention_computes_its_equations(window: int | None, bias: bool) -> None:
    """Two heads of three numbers, one of which is not turned. Some inputs are zero, so that without biases some keys
    and values are zero too: they count as the others do."""
    network = network_of({"name": "attention", "window": window, "heads": 2}, bias=bias)
    x = sequences(7)
    x[:, 2:4] = 0
    p = {name: value[0].numpy() for name, value in network.parameters.items()}
    outputs = network.run(x)[0]
    for b in range(2):
        expected = attended(p, x[0, :, b].numpy(), 2, window)
        np.testing.assert_allclose(outputs[0, :, b], expected, rtol=1e-10, atol=1e-12)


def test_a_window_as_long_as_the_sequence_is_full_attention() -> None:
    """Of 150 steps, which a window of 70 computes in three parts and one of 150 in one."""
    full, x = network_of(FULL), sequences(150)
    for window in (70, 150):
        cell = cells.build({"name": "attention", "window": window})
        windowed = dataclasses.replace(full, architecture=dataclasses.replace(full.architecture, cell=cell))
        seen = slice(0, window)
        torch.testing.assert_close(windowed.run(x)[0][:, seen], full.run(x)[0][:, seen])
        late = torch.isclose(windowed.run(x)[0][:, window:], full.run(x)[0][:, window:])
        assert not late.all(-1).any()


@pytest.mark.parametrize(
    ("cell", "horizon"),
    [
        (WINDOW, 2),
        ({"name": "attention", "window": 33, "heads": 2}, 32),
        ("tcn", 2 * (1 + 2 + 4)),
        ({"name": "tcn", "taps": 2, "dilations": [1, 3, 7]}, 1 + 3 + 7),
    ],
    ids=str,
)
@pytest.mark.parametrize("depth", [1, 2])
def test_the_horizon_is_exactly_what_the_docstring_says(cell: Any, horizon: int, depth: int) -> None:
    """In the published block, which mixes no steps; every layer adds the same number of steps.

    Attention resumed from a state rounds differently, so that an effect of 1e-30 is none.
    """
    network = network_of(cell, 24, published(cells.build(cell)), depth=depth)
    x_BTI = sequences(depth * horizon + 5, 4)[0].transpose(0, 1)
    reach = causal_reach(network, x_BTI)
    assert reach.lag[reach.effect > 1e-24].max() == depth * horizon


def test_a_tcn_is_a_stack_of_convolutions_of_torch() -> None:
    network = network_of({"name": "tcn", "taps": 3, "dilations": [1, 4]})
    x, p = sequences(12), {name: value[0] for name, value in network.parameters.items()}
    y = x[0].permute(1, 2, 0)
    for level, (name, dilation) in enumerate((("ih", 1), ("1", 4))):
        weight = p[f"weight_{name}_l0"].view(6, 3, -1).permute(0, 2, 1)
        padded = functional.pad(y, (2 * dilation, 0))
        new = functional.conv1d(padded, weight, p[f"bias_{name}_l0"], dilation=dilation).relu()
        y = new + y if level else new
    torch.testing.assert_close(network.run(x)[0][0], y.permute(2, 0, 1))


# Sizes and trials ------------------------------------------------------------------------------------------------


def test_keys_and_values_are_counted(trial_of: Make) -> None:
    sizes = {"lag": 9, "hidden": 8}
    assert trial_of(cell=WINDOW, **sizes).architecture.state_count == 2 * 3 * 8
    assert trial_of(cell=FULL, **sizes).architecture.state_count == 2 * 10 * 8
    assert trial_of(cell=FULL, lag=9, match={"state": 200}, hidden=10).hidden == 10
    levels = {"name": "tcn", "taps": 2, "dilations": [1, 3]}
    inputs = trial_of(cell=levels).task.inputs
    assert trial_of(cell=levels, **sizes).architecture.state_count == 2 * inputs + 4 * 8


def test_attention_is_published_in_the_block_of_a_transformer(trial_of: Make) -> None:
    assert trial_of(cell=FULL).architecture.block == Block(norm="layer", residual=True, mlp=2)
    assert trial_of(cell=FULL, block="none").label == "attention, no block"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"cell": {"name": "attention", "heads": 3}, "hidden": 8},
            "hidden is 8, and 3 heads need a multiple of 3",
        ),
        ({"cell": FULL, "initial_state": "learned"}, "initial_state: learned is not possible: attention without a"),
        ({"cell": WINDOW, "initial_state": "learned"}, "not possible: attention starts from an empty window"),
    ],
    ids=str,
)
def test_what_attention_cannot_do_is_refused(fields: dict[str, Any], message: str, trial_of: Make) -> None:
    with pytest.raises(ValueError, match=message):
        trial_of(**fields)


def test_measures_of_the_state_need_a_window() -> None:
    """Full attention can be carried from step to step, but its state has another size at every step."""
    network, x = network_of(FULL), sequences(6)
    first, carried = network.run(x[:, :4])
    torch.testing.assert_close(torch.cat([first, network.run(x[:, 4:], carried)[0]], 1), network.run(x)[0])
    assert "give it a window" in network.architecture.no_full_state
    assert network_of(WINDOW).architecture.no_full_state == ""
