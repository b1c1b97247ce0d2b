"""elman, lstm and gru against `torch.nn.RNN`, `LSTM`, `GRU`: values, gradients, names, and conversion both ways."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from farback import cells, inits
from farback.cells.base import sigmoid
from farback.networks.network import Architecture, Network, draw, from_torch, states, to_torch

KINDS: dict[str, tuple[type[nn.RNNBase], dict[str, Any], dict[str, str]]] = {
    "tanh": (nn.RNN, {"nonlinearity": "tanh"}, {"name": "elman", "nonlinearity": "tanh"}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}, {"name": "elman", "nonlinearity": "relu"}),
    "lstm": (nn.LSTM, {}, {"name": "lstm"}),
    "gru": (nn.GRU, {}, {"name": "gru"}),
}
CLOSE = {torch.float32: {"rtol": 1e-4, "atol": 1e-5}, torch.float64: {"rtol": 1e-9, "atol": 1e-12}}
FORMS = [(1, True, False), (2, False, True), (3, True, True), (1, False, False)]  # depth, bias, bidirectional


def module_of(kind: str, depth: int, bias: bool, both: bool, dtype: torch.dtype, hidden: int = 5) -> nn.RNNBase:
    make, options, _ = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return make(3, hidden, depth, bias=bias, bidirectional=both, batch_first=True, **options).to(dtype)


def noise(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("depth", "bias", "both"), FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_equal_torch(kind: str, depth: int, bias: bool, both: bool, dtype: torch.dtype) -> None:
    module = module_of(kind, depth, bias, both, dtype)
    network = from_torch(module)
    assert network.architecture.cell == cells.build(KINDS[kind][2])
    named = dict(module.named_parameters())
    assert set(network.parameters) == set(named)
    for name, value in network.parameters.items():
        assert torch.equal(value[0], named[name])
        value.requires_grad_()

    x = noise(4, 7, 3, dtype=dtype).requires_grad_()
    output, last = module(x)
    computed, state = network.run(x.transpose(0, 1).unsqueeze(0))
    assert_close(computed[0].transpose(0, 1), output, **CLOSE[dtype])
    for index, part in enumerate(last if isinstance(last, tuple) else (last,)):
        assert_close(torch.stack([layer[index][0] for layer in state]), part, **CLOSE[dtype])

    weight = noise(*output.shape, dtype=dtype, seed=1)
    expected = torch.autograd.grad((output * weight).sum(), [x, *(named[name] for name in network.parameters)])
    grads = torch.autograd.grad((computed[0].transpose(0, 1) * weight).sum(), [x, *network.parameters.values()])
    assert_close(grads[0], expected[0], **CLOSE[dtype])
    for ours, theirs in zip(grads[1:], expected[1:], strict=True):
        assert_close(ours[0], theirs, **CLOSE[dtype])


@pytest.mark.parametrize("kind", KINDS)
def test_a_carried_state_gives_the_outputs_of_torch(kind: str) -> None:
    module = module_of(kind, 2, True, False, torch.float64)
    x = noise(4, 9, 3, dtype=torch.float64)
    _, carried = module(x[:, :5])
    expected, _ = module(x[:, 5:], carried)
    network, x_RTBI = from_torch(module), x.transpose(0, 1).unsqueeze(0)
    _, state = network.run(x_RTBI[:, :5])
    assert_close(network.run(x_RTBI[:, 5:], state)[0][0].transpose(0, 1), expected, **CLOSE[torch.float64])


@pytest.mark.parametrize(("depth", "bias", "both"), FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_from_torch_and_to_torch_give_the_same_module(kind: str, depth: int, bias: bool, both: bool) -> None:
    module = module_of(kind, depth, bias, both, torch.float32)
    again = to_torch(from_torch(module))
    assert type(again) is type(module)
    assert again.batch_first
    assert list(again.state_dict()) == list(module.state_dict())
    for name, value in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    x = noise(2, 5, 3, dtype=torch.float32)
    assert torch.equal(again(x)[0], module(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_to_torch_gives_a_module_with_the_same_outputs(kind: str) -> None:
    architecture = Architecture(cells.build(KINDS[kind][2]), 3, 6, 2, depth=2, bidirectional=True)
    network = draw(architecture, [inits.build("xavier")] * 2, [0, 1], 5, torch.float64)
    x = noise(4, 7, 3, dtype=torch.float64)
    for r in range(2):
        module = to_torch(network.replica(r))
        assert_close(module(x)[0], states(network.replica(r), x), **CLOSE[torch.float64])


@pytest.mark.parametrize("kind", KINDS)
def test_states_equal_the_output_of_torch(kind: str) -> None:
    module = module_of(kind, 2, True, True, torch.float32)
    x = noise(4, 7, 3, dtype=torch.float32)
    computed = states(from_torch(module), x)
    assert computed.shape == (4, 7, 10)
    assert_close(computed, module(x)[0], **CLOSE[torch.float32])


def test_from_torch_copies_the_weights() -> None:
    module = module_of("gru", 1, True, False, torch.float32)
    network = from_torch(module)
    before = network.parameters["weight_hh_l0"].clone()
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    assert torch.equal(network.parameters["weight_hh_l0"], before)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.LSTM(3, 5, proj_size=2), "projections"),
        (nn.GRU(3, 5, 2, dropout=0.5), "dropout is 0.5"),
        (nn.Linear(3, 5), "Linear"),
    ],
    ids=["projection", "dropout", "linear"],
)
def test_from_torch_names_the_reason_why_it_cannot_convert_a_module(module: nn.Module, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_torch(module)


def small(cell: str | dict[str, str], **fields: Any) -> Network:
    architecture = Architecture(cells.build(cell), 3, 6, 0, **fields)
    return draw(architecture, [inits.build("torch")], [0], 5)


@pytest.mark.parametrize(
    "cell", ["memoryless", "leaky_integrator", {"name": "elman", "nonlinearity": "sigmoid"}], ids=str
)
def test_to_torch_of_a_cell_that_torch_lacks_is_an_error(cell: str | dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"torch\.nn has no module"):
        to_torch(small(cell))


def test_to_torch_of_a_network_with_other_features_is_an_error() -> None:
    with pytest.raises(ValueError, match="learned initial state"):
        to_torch(small("gru", learned_state=True))
    two = draw(Architecture(cells.build("gru"), 3, 6, 0), [inits.build("torch")] * 2, [0, 1], 5)
    with pytest.raises(ValueError, match="2 replicas"):
        to_torch(two)
    with pytest.raises(ValueError, match="2 replicas"):
        states(two, torch.zeros(1, 2, 3))


def test_sigmoid_equals_that_of_torch_to_the_last_bits() -> None:
    """Within two units in the last place of numbers near one."""
    x = torch.linspace(-100, 100, 400_001)
    assert (sigmoid(x) - torch.sigmoid(x)).abs().max() <= 2 * torch.finfo(torch.float32).eps
    assert (sigmoid(x.double()) - torch.sigmoid(x.double())).abs().max() <= 2 * torch.finfo(torch.float64).eps
    assert sigmoid(torch.tensor([-torch.inf, 0.0, torch.inf])).tolist() == [0.0, 0.5, 1.0]


def test_rounding_of_sigmoid_does_not_depend_on_the_position_in_the_tensor() -> None:
    """Unlike that of `torch.sigmoid`, which rounds the last few elements of a tensor differently."""
    x = noise(1000, dtype=torch.float32)
    whole = sigmoid(x)
    for size in (1, 3, 7, 17, 999):
        assert torch.equal(torch.cat([sigmoid(part) for part in x.split(size)]), whole)
