"""Measures do not depend on the mode of their caller, and never change a user's module."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from farback import measures, tasks

RECALL = tasks.build({"name": "recall", "symbols": 4, "lag": 5})
X = torch.randn(40, 9, RECALL.inputs, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """A user's module with dropout and batch norm, whose initial state is in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.norm = nn.GRU(RECALL.inputs, 6, batch_first=True), nn.BatchNorm1d(6)
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(6, 4)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = torch.zeros(1, len(x), 6) if h is None else h
        states, last = self.rnn(x, h)
        return self.out(self.drop(self.norm(states.transpose(1, 2)).transpose(1, 2))), last


def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net()


MEASURES: dict[str, Callable[[Any], Any]] = {
    "retention": lambda system: measures.retention(system, RECALL, [2], sequences=50).loss,
    "length_matrix": lambda system: measures.length_matrix({2: system}, RECALL, [2], sequences=50).accuracy_NL,
    "causal_reach": lambda system: measures.causal_reach(system, X, [0, 2]).effect,
    "truncation_reach": lambda system: measures.truncation_reach(system, X).kept,
    "gradient_reach": lambda system: measures.gradient_reach(system, X).log_norm,
    "loss": lambda system: measures.gradient_reach(system, X, lambda output, state: output[:, -1].sum()).log_norm,
    "probe": lambda system: measures.probe(system, X, None, [0, 1]).skill,
    "lyapunov": lambda system: measures.lyapunov(system, X[:2]).exponents,
    "jacobian_norms": lambda system: measures.jacobian_norms(system, X[:2]).log_norm,
    "multistability": lambda system: measures.multistability(system, RECALL, starts=16, steps=20).basin,
}


def test_every_measure_of_a_network_has_a_mode_of_its_own() -> None:
    functions = {name: getattr(measures, name) for name in measures.__all__ if name.islower()}
    takes = {name: inspect.signature(function).parameters for name, function in functions.items()}
    of_networks = {name for name, taken in takes.items() if {"system", "systems", "network", "module"} & set(taken)}
    assert len(of_networks) >= 12
    assert [name for name in of_networks - set(MEASURES) if not hasattr(functions[name], "__wrapped__")] == []


@pytest.mark.parametrize("wrapped", [False, True], ids=["module", "function"])
@pytest.mark.parametrize("name", MEASURES)
def test_a_module_in_train_mode_is_measured_in_evaluation_mode_and_left_as_it_is(name: str, wrapped: bool) -> None:
    own, evaluated = net(), net().eval()
    before = {key: value.clone() for key, value in own.state_dict().items()}
    given = [(lambda x, h=None, net=net: net(x, h)) if wrapped else net for net in (own, evaluated)]
    found, expected = (MEASURES[name](system) for system in given)
    assert np.array_equal(found, expected)
    assert all(part.training for part in own.modules())
    assert all(torch.equal(value, before[key]) for key, value in own.state_dict().items())
    assert all(value.requires_grad and value.grad is None for value in own.parameters())


MODES: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "meta device": lambda: torch.device("meta"),
}


def gru() -> nn.GRU:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.GRU(RECALL.inputs, 4, batch_first=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_does_not_depend_on_the_mode_of_its_caller(name: str, mode: str) -> None:
    own = gru()
    expected = MEASURES[name](own)
    with MODES[mode]():
        assert np.array_equal(MEASURES[name](own), expected)


def test_modules_and_inputs_made_in_inference_mode_have_gradients() -> None:
    expected = measures.gradient_reach(gru(), X.double()).log_norm
    with torch.inference_mode():
        module, x = gru(), X.double().clone()
        inside = measures.gradient_reach(module, x).log_norm
    for found in (inside, measures.gradient_reach(module, x).log_norm):
        assert np.array_equal(found, expected)


class Frozen(nn.Module):
    """Leaves PyTorch's graph in its forward."""

    def __init__(self, by: str) -> None:
        super().__init__()
        self.by, self.rnn = by, gru()

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with torch.no_grad() if self.by == "no_grad" else nullcontext():
            if self.by == "detach":  # as truncated back-propagation does
                first, h = self.rnn(x[:, :-3], h) if x.shape[1] > 3 else (x.new_zeros(len(x), 0, 4), h)
                second, h = self.rnn(x[:, -3:], None if h is None else h.detach())
                return torch.cat([first, second], 1), h
            output, h = self.rnn(x, h)
            if self.by == "NumPy":
                output, h = (torch.from_numpy(part.detach().numpy()) for part in (output, h))
            return output, h


@pytest.mark.parametrize("by", ["no_grad", "detach", "NumPy"])
@pytest.mark.parametrize("name", ["gradient_reach", "lyapunov", "jacobian_norms"])
def test_a_gradient_lost_by_the_callable_is_an_error_and_not_zero(name: str, by: str) -> None:
    with pytest.raises(ValueError, match="leaves PyTorch's graph"):
        MEASURES[name](Frozen(by))


@pytest.mark.parametrize(
    "loss",
    [lambda output, state: output[:, -1].detach().sum(), lambda output, state: output[:, -1].detach().numpy().sum()],
    ids=["detached", "NumPy"],
)
def test_a_loss_without_a_gradient_is_an_error_and_not_zero(loss: Any) -> None:
    with pytest.raises(ValueError, match="leaves PyTorch's graph"):
        measures.gradient_reach(gru(), X, loss)


def test_true_zeros_of_callables_are_not_taken_for_a_lost_gradient() -> None:
    """A buffer of two steps, at the kink of relu and with a step function, has gradient zero from lag 2 on."""
    for function in (torch.relu, torch.sign, lambda x: x):
        padded = lambda x, f=function: f(x + nn.functional.pad(x, (0, 0, 1, 0))[:, :-1])  # noqa: E731
        for inputs in (torch.zeros(3, 6, 2), X[:3, :, :2]):
            found = measures.gradient_reach(padded, inputs)
            assert found.status[2:] == ["zero"] * (inputs.shape[1] - 2)
