"""One interface to every kind of network: outputs, the full state, resuming from a state, double precision."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from farback import cells, encoders, inits, measures
from farback.measures.support.system import as_system, measured
from farback.networks.network import Architecture, Network, draw, from_torch

KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def module(kind: str, depth: int = 2, **options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return KINDS[kind](3, 5, depth, **{"batch_first": True, **options}).double()


def inputs(batch: int = 4, steps: int = 7) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((batch, steps, 3)))


class Leaky(nn.Module):
    """A user's module; given a `precision`, its initial state has that one for inputs of any precision."""

    def __init__(self, precision: torch.dtype | None = None) -> None:
        super().__init__()
        self.precision = precision
        self.into, self.loop, self.out = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = torch.zeros(len(x), 5, dtype=self.precision or x.dtype) if h is None else h
        states = []
        for x_t in x.unbind(1):
            h = 0.5 * h + torch.tanh(self.into(x_t) + self.loop(h))
            states.append(h)
        return self.out(torch.stack(states, 1)), torch.stack(states, 1)


class Step(nn.Module):
    """A user's single step, which also runs on a whole sequence of the same number of steps: (x_BI, h) -> h or pair."""

    def __init__(self, pair: bool) -> None:
        super().__init__()
        self.pair, self.into, self.loop, self.out = pair, nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Any:
        h = torch.zeros(len(x), 5, dtype=x.dtype) if h is None else h
        h = 0.5 * h + torch.tanh(self.into(x) + self.loop(h))
        return (self.out(h), h) if self.pair else h


SYSTEMS: dict[str, Any] = {
    **{kind: lambda kind=kind: module(kind) for kind in KINDS},
    "time first": lambda: module("lstm", batch_first=False),
    "projected": lambda: module("lstm", proj_size=2),
    "network": lambda: from_torch(module("lstm")),
    "network with readout": lambda: draw(
        Architecture(cells.build("gru"), 3, 5, 2, depth=2, learned_state=True), [inits.build("torch")], [0], 5
    ).to(torch.float64),
    "by hand": Leaky,
    **{cell.__name__: lambda cell=cell: cell(3, 5) for cell in (nn.RNNCell, nn.GRUCell, nn.LSTMCell)},
    "step": lambda: Step(pair=False),
    "pair step": lambda: Step(pair=True),
    "function": lambda: _sum,
}


def _sum(x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
    state = x.cumsum(1) if h is None else x.cumsum(1) + h.unsqueeze(1)
    return state, state


def at_each_pixel() -> Network:
    """A network with separate states at the four pixels of a map, of two layers."""
    conv = encoders.build({"name": "conv", "channels": 2})
    drawn = draw(Architecture(cells.build("lstm"), 5, 3, 4, depth=2, encoder=conv), [inits.build("torch")], [0], 5)
    return drawn.to(torch.float64)


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> Any:
    with torch.random.fork_rng():
        return SYSTEMS[request.param]()


def test_a_split_sequence_gives_the_same_outputs_and_state(system: Any) -> None:
    wrapped, x = measured(system, inputs())
    whole, last = wrapped.carry(x)
    assert torch.equal(whole, wrapped(x)[0])
    for split in range(1, x.shape[1]):
        first, state = wrapped.carry(x[:, :split])
        second, end = wrapped.carry(x[:, split:], state)
        torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(end, last, rtol=1e-12, atol=1e-14)


def test_the_full_state_of_a_network_at_each_pixel_is_that_of_all_its_pixels() -> None:
    system = as_system(at_each_pixel())
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((3, 6, 5)))
    whole, last = system.carry(x)
    assert last.shape == (3, 4 * 3 * 2 * 2)  # pixels, hidden units, h and c, layers
    _, state = system.carry(x[:, :2])
    second, end = system.carry(x[:, 2:], state)
    torch.testing.assert_close(second, whole[:, 2:], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(end, last, rtol=1e-12, atol=1e-14)
    alone = [system.carry(one[None])[1] for one in x]
    torch.testing.assert_close(torch.cat(alone), last, rtol=1e-12, atol=1e-14)
    assert measures.causal_reach(at_each_pixel(), x, [0, 1]).effect[0] > 0


def test_the_trajectory_is_the_full_state_after_every_step(system: Any) -> None:
    wrapped, x = measured(system, inputs())
    full = wrapped.trajectory(x)
    assert full.shape[:2] == x.shape[:2]
    for step in range(x.shape[1]):
        torch.testing.assert_close(full[:, step], wrapped.carry(x[:, : step + 1])[1], rtol=1e-12, atol=1e-14)
    tail = wrapped.trajectory(x[:, 3:], full[:, 2])
    torch.testing.assert_close(tail, full[:, 3:], rtol=1e-12, atol=1e-14)


def test_the_final_state_is_differentiable_in_the_starting_state(system: Any) -> None:
    """Against central differences."""
    wrapped, x = measured(system, inputs(2, 3))
    state = wrapped.carry(x)[1].detach()
    direction = torch.from_numpy(np.random.default_rng(2).standard_normal(tuple(state.shape)))
    leaf = state.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(wrapped.carry(x, leaf)[1].sum(), leaf)
    up, down = (float(wrapped.carry(x, state + sign * 1e-6 * direction)[1].sum()) for sign in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx((up - down) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_and_the_network_converted_from_it_have_the_same_full_state(kind: str) -> None:
    module_system, network_system = as_system(module(kind)), as_system(from_torch(module(kind)))
    x = inputs()
    torch.testing.assert_close(module_system.trajectory(x), network_system.trajectory(x), rtol=1e-10, atol=1e-12)
    parts = 2 if kind == "lstm" else 1
    assert module_system.trajectory(x).shape == (4, 7, 2 * 5 * parts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_of_torch_is_measured_as_the_layer_with_its_weights(kind: str) -> None:
    layer = module(kind, depth=1)
    cell = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}[kind](3, 5).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    parametrized = torch.nn.utils.parametrizations.weight_norm(copy.deepcopy(cell), "weight_hh")
    x = inputs()
    for own in (cell, parametrized):
        found, expected = as_system(own), as_system(layer)
        torch.testing.assert_close(found(x)[0], expected(x)[0], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(found.trajectory(x), expected.trajectory(x), rtol=1e-12, atol=1e-14)
        gradients = [measures.gradient_reach(system, x).log_norm for system in (own, layer)]
        assert gradients[0] == pytest.approx(gradients[1], rel=1e-9)
    exponents = [measures.lyapunov(own, x[:1]).exponents for own in (cell, layer)]
    assert exponents[0] == pytest.approx(exponents[1], rel=1e-9)


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("steps", [4, 7])
def test_a_step_that_accepts_a_sequence_too_is_run_over_the_steps(pair: bool, steps: int) -> None:
    """With as many sequences as steps, or one sequence, it raises no error on a whole sequence."""
    with torch.random.fork_rng():
        own = Step(pair).double()
    x = inputs(4, steps)
    for batch in (x, x[:1]):
        outputs, h = [], None
        for x_BI in batch.unbind(1):
            result = own(x_BI, h)
            h = result[1] if pair else result
            outputs.append(result[0] if pair else result)
        torch.testing.assert_close(as_system(own)(batch)[0], torch.stack(outputs, 1), rtol=1e-12, atol=1e-14)


def test_a_module_without_memory_whose_second_argument_is_no_state_stays_as_it_is() -> None:
    class Pointwise(nn.Linear):
        def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
            return super().forward(x if scale is None else x * scale)

    own, x = Pointwise(3, 2).double(), inputs()
    assert torch.equal(as_system(own)(x)[0], own(x))


def test_double_precision_uses_a_copy_and_leaves_the_module_unchanged() -> None:
    own = nn.LSTM(3, 5, 2, dropout=0.5)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    wrapped, x = measured(own, inputs())
    assert wrapped.dtype is torch.float64
    assert wrapped(x)[0].dtype is torch.float64
    assert torch.equal(wrapped(x)[0], wrapped(x)[0])  # dropout is off
    assert own.training
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert all(value.dtype is torch.float32 and value.requires_grad for value in own.parameters())


def test_a_callable_fixed_to_single_precision_is_measured_in_single_precision() -> None:
    hand = Leaky(torch.float32)
    closure = lambda x: hand(x)  # noqa: E731 - a closure over float32 weights
    for own in (hand, hand.forward, closure):
        wrapped, x = measured(own, inputs())
        assert x.dtype is torch.float32
        assert wrapped(x)[0].dtype is torch.float32


def test_a_method_of_a_module_is_run_in_double_precision() -> None:
    class Plain(nn.Linear):
        def outputs(self, x: Tensor) -> Tensor:
            return self(x)

    plain = Plain(3, 2)
    wrapped, x = measured(plain.outputs, inputs())
    assert wrapped(x)[0].dtype is torch.float64
    assert plain.weight.dtype is torch.float32


def test_outputs_serve_as_states_if_a_callable_returns_no_state_for_every_step() -> None:
    x = inputs()
    gru = module("gru")
    for function in (lambda x: gru(x)[0], gru.forward):
        output, state = as_system(function)(x)
        assert torch.equal(state, output)


def test_inputs_may_be_arrays_or_lists_with_or_without_a_batch_axis() -> None:
    gru, x = module("gru"), inputs()
    for given in (x[0], x[0].numpy(), x[0].float(), x[0].tolist()):
        assert measured(gru, given)[1].shape == (1, 7, 3)


def bad_states(x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Any]:
    return x, (x, "kept")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: as_system(module("gru", bidirectional=True)).carry(inputs()), "bidirectional network reads the whole"),
        (lambda: as_system(from_torch(module("gru", bidirectional=True))).carry(inputs()), "bidirectional"),
        (lambda: as_system(lambda x: x).carry(inputs()), r"write it as \(x_BTI, state_BS=None\)"),
        (lambda: as_system(bad_states).carry(inputs()), r"every step, \(4, 7, 'S'\).*bad_states returns.*str"),
        (lambda: as_system(module("gru"))(inputs()[..., :2]), "takes 3 inputs per step, got 2"),
        (lambda: as_system(module("gru"))(inputs()[0]), r"inputs must be \(B, T, I\).*got \(7, 3\)"),
        (lambda: as_system(module("lstm")).carry(inputs(), torch.zeros(4, 10)), r"is \(4, 20\); got \(4, 10\)"),
        (lambda: as_system(from_torch(module("gru"))).carry(inputs(), torch.zeros(3, 10)), r"is \(4, 10\)"),
        (lambda: as_system(lambda x: x[:, -1])(inputs()), r"\(4, 7, 'O'\); <lambda> returns \(4, 3\)"),
        (lambda: as_system(nn.GRUCell(4, 5))(inputs()), "GRUCell fails on .*inconsistent input_size"),
        (lambda: as_system(3), "a system must be a torch.nn.RNN"),
        (lambda: measured(module("gru"), torch.zeros(3)), r"\(T, I\) or \(B, T, I\).*got \(3,\)"),
        (lambda: measured(module("gru"), torch.zeros(0, 3)), "not empty"),
    ],
    ids=range(13),
)
def test_unusable_systems_and_inputs_are_errors(action: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        action()


def test_a_network_of_several_replicas_is_an_error() -> None:
    network: Network = draw(Architecture(cells.build("gru"), 3, 5, 0), [inits.build("torch")] * 2, [0, 1], 5)
    with pytest.raises(ValueError, match="2 replicas"):
        as_system(network)
