"""The convolution against torch, networks at the pixels against separate networks, and packed against alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from farback import cells, encoders, inits
from farback.networks.network import Architecture, Network, draw
from farback.tasks import Bits
from farback.trials.trial import Trial

TORCH = inits.build("torch")


def build(inputs: int, outputs: int, cell: str = "gru", hidden: int = 5, **fields: Any) -> Architecture:
    encoder = encoders.build({"name": "conv", "channels": 3, **fields})
    architecture = Architecture(cells.build(cell), inputs, hidden, outputs, encoder=encoder)
    architecture.check(TORCH)
    return architecture


def network(architecture: Architecture, replicas: int = 1, dtype: torch.dtype = torch.float64) -> Network:
    return draw(architecture, [TORCH] * replicas, range(replicas), 5, dtype)


def data(inputs: int, replicas: int = 1, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(replicas, 6, 4, inputs, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("more", [0, 2])
def test_conv_equals_the_convolution_of_torch_with_circular_padding(kernel: int, more: int) -> None:
    """On maps of 5 by 5; a further number is a constant channel with one weight."""
    architecture = build(25 + more, 25, kernel=kernel)
    net, x = network(architecture), data(25 + more)
    weight, bias = (net.parameters[f"encoder.{name}"][0] for name in ("weight", "bias"))
    conv = nn.Conv2d(1, 3, kernel, padding=kernel // 2, padding_mode="circular", dtype=torch.float64)
    conv.load_state_dict({"weight": weight[:, : kernel**2].reshape(3, 1, kernel, kernel), "bias": bias})
    image = x[0, ..., :25].reshape(-1, 1, 5, 5)
    flags = torch.einsum("nm,cm->nc", x[0, ..., 25:].reshape(24, more), weight[:, kernel**2 :])
    expected = torch.relu(conv(image) + flags[..., None, None])
    p = {"weight": weight[None], "bias": bias[None]}
    found = architecture.encoder.encode(p, x)
    assert found.shape == (1, 6, 4 * 25, 3)
    torch.testing.assert_close(found.view(24, 25, 3).transpose(1, 2).reshape(24, 3, 5, 5), expected)
    whole = build(25 + more, 25, kernel=kernel, state="map").encoder.encode(p, x)
    torch.testing.assert_close(whole, found.view(1, 6, 4, 75))


def test_a_kernel_larger_than_the_map_wraps_around() -> None:
    architecture = build(4, 4, kernel=5)
    net, x = network(architecture), data(4)
    p = {name: net.parameters[f"encoder.{name}"] for name in ("weight", "bias")}
    image = x[0].reshape(-1, 1, 2, 2).repeat(1, 1, 5, 5)[:, :, 2:8, 2:8]  # the torus unrolled, two pixels to each side
    expected = torch.relu(nn.functional.conv2d(image, p["weight"][0].view(3, 1, 5, 5), p["bias"][0]))
    found = architecture.encoder.encode(p, x).view(24, 4, 3).transpose(1, 2).reshape(24, 3, 2, 2)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cell", ["gru", "lstm", "elman", "memoryless", "leaky_integrator"])
def test_every_pixel_has_a_separate_network_with_the_same_parameters(cell: str) -> None:
    """A network without encoder computes a pixel's output from the features of that pixel."""
    fields = {"hidden": 3} if cell == "leaky_integrator" else {}
    architecture = build(10, 9, cell, **fields)
    net, x = network(architecture), data(10)
    h, _ = net.run(x)
    output = net.readout(h.reshape(1, 24, -1)).view(6, 4, 9)
    features = architecture.encoder.encode(
        {name: net.parameters[f"encoder.{name}"] for name in ("weight", "bias")}, x
    ).view(1, 6, 4, 9, 3)
    plain = Architecture(architecture.cell, 3, architecture.hidden, 1)
    alone = Network(plain, {name: value for name, value in net.parameters.items() if not name.startswith("encoder")})
    assert {name: tuple(value.shape[1:]) for name, value in alone.parameters.items()} == plain.shapes()
    for pixel in range(9):
        h, _ = alone.run(features[..., pixel, :].contiguous())
        torch.testing.assert_close(alone.readout(h.reshape(1, 24, -1)).view(6, 4), output[..., pixel])
    assert architecture.state_count == 9 * plain.state_count
    assert architecture.parameter_count == plain.parameter_count + 3 * 10 + 3


@pytest.mark.parametrize("state", ["pixel", "map"])
@pytest.mark.parametrize("fields", [{}, {"learned_state": True}], ids=str)
def test_any_split_gives_the_same_outputs(state: str, fields: dict[str, Any]) -> None:
    one = build(10, 9, "lstm", state=state)
    architecture = Architecture(one.cell, 10, 5, 9, 2, encoder=one.encoder, **fields)
    net, x = network(architecture, 2), data(10, 2)
    whole, last = net.run(x)
    first, carried = net.run(x[:, :4])
    rest, after = net.run(x[:, 4:], carried)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)
    torch.testing.assert_close(after, last)


@pytest.mark.parametrize("state", ["pixel", "map"])
@pytest.mark.parametrize("replicas", [3])
def test_packed_equals_alone_and_replicas_never_meet(state: str, replicas: int) -> None:
    """Bit for bit, outputs and gradients."""
    architecture = build(37, 36, state=state)
    net, x = network(architecture, replicas, torch.float32), data(37, replicas, torch.float32)

    def through(one: Network, x_RTBI: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        p = {name: value.clone().requires_grad_() for name, value in one.parameters.items()}
        own = Network(architecture, p)
        h, _ = own.run(x_RTBI)
        output = own.readout(h.flatten(1, 2))
        return output, list(torch.autograd.grad((output**3).sum(), list(p.values())))

    output, grads = through(net, x)
    for r in range(replicas):
        alone, own = through(net.replica(r), x[r : r + 1])
        assert torch.equal(alone[0], output[r])
        assert all(torch.equal(a[0], b[r]) for a, b in zip(own, grads, strict=True))


def test_the_readout_bias_is_the_drawn_one_plus_the_logit_of_the_base_rate() -> None:
    trial = Trial.model_validate({"task": "lightning", "lag": 10, "cell": "gru", "encoder": "conv"})
    start = trial.architecture.start
    assert start == Bits(36, 0.108).start == pytest.approx(np.log(0.108 / 0.892))
    plain = Architecture(trial.cell, 37, 32, 36, encoder=trial.encoder)
    a, b = (draw(one, [TORCH], [0], 10).parameters for one in (trial.architecture, plain))
    torch.testing.assert_close(a["readout.bias"], b["readout.bias"] + start)
    assert all(torch.equal(a[name], b[name]) for name in a if name != "readout.bias")


def test_the_readout_bias_of_other_answers_is_the_drawn_one() -> None:
    assert Trial.model_validate({"task": "recall", "lag": 3, "cell": "gru"}).architecture.start == 0.0


def test_biases_of_an_encoder_are_drawn_like_its_weights() -> None:
    """As torch.nn.Conv2d: uniform on +-1 / sqrt(fan in)."""
    drawn = draw(build(37, 36, channels=200), [TORCH], [0], 5).parameters
    for name in ("weight", "bias"):
        value = drawn[f"encoder.{name}"].abs()
        assert float(value.max()) == pytest.approx(10**-0.5, rel=0.03)
        assert float(value.max()) <= 10**-0.5


def test_settings_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="reads 9 inputs as 9 pixels, and the task has 4 outputs"):
        Trial.model_validate({"task": "recall", "lag": 3, "cell": "gru", "encoder": "conv"})
    with pytest.raises(ValueError, match="a kernel must be odd: 3 or 5, not 4"):
        encoders.build({"name": "conv", "kernel": 4})
