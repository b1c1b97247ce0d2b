"""Parametrized, pruned and weight-normed modules, and derived classes: converted exactly, or refused."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, weight_norm

from farback import from_torch, measures, states


def seeded(kind: Any, *sizes: int, **options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(*sizes, **{"batch_first": True, **options})


def orthogonal() -> nn.Module:
    with torch.random.fork_rng():
        return parametrizations.orthogonal(seeded(nn.RNN, 3, 8), "weight_hh_l0")


def old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return weight_norm(seeded(nn.GRU, 3, 8), "weight_hh_l0")


def spectral() -> nn.Module:
    with torch.random.fork_rng():
        return parametrizations.spectral_norm(seeded(nn.LSTM, 3, 8, 2), "weight_hh_l1")


class Named(nn.GRU):
    """A derived class without a forward of its own."""


class Doubling(nn.LSTM):
    def forward(self, x: Tensor, state: Any = None) -> Any:  # type: ignore[override]
        output, state = super().forward(x, state)
        return 2 * output, state


class OutputsOnly(nn.GRU):
    def forward(self, x: Tensor) -> Any:  # type: ignore[override]
        return super().forward(x)[0]


REPARAMETRISED = {
    "orthogonal": orthogonal,
    "weight norm": lambda: parametrizations.weight_norm(seeded(nn.GRU, 3, 8), "weight_hh_l0"),
    "weight norm by a hook": old_weight_norm,
    "spectral norm": spectral,
    "pruned": lambda: prune.l1_unstructured(seeded(nn.LSTM, 3, 8), "weight_hh_l0", amount=0.5),
    "derived class": lambda: seeded(Named, 3, 8),
}


X = torch.randn(4, 12, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("run_before", [False, True], ids=["new", "after a run"])
@pytest.mark.parametrize("name", REPARAMETRISED)
def test_a_reparametrised_module_is_converted_exactly(name: str, run_before: bool) -> None:
    module = REPARAMETRISED[name]()
    module.eval()
    if run_before:
        module(X)
    network = from_torch(module)
    torch.testing.assert_close(states(network, X), module(X)[0].detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", REPARAMETRISED)
def test_a_reparametrised_module_is_measured_as_the_plain_module_with_its_weights(name: str) -> None:
    module = REPARAMETRISED[name]()
    module.eval()
    module(X)
    options = {"num_layers": module.num_layers, "batch_first": True}
    plain = {"RNN_TANH": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}[module.mode](3, 8, **options)
    plain.load_state_dict({key: getattr(module, key).detach() for key in plain.state_dict()})
    found, expected = measures.gradient_reach(module, X), measures.gradient_reach(plain, X)
    assert found.log_norm == pytest.approx(expected.log_norm, rel=1e-5)
    if module.mode != "RNN_TANH":
        expected_tau = measures.gate_times(plain, X).tau
        assert measures.gate_times(module, X).tau == pytest.approx(expected_tau, rel=1e-5)


@pytest.mark.parametrize("kind", [Doubling, OutputsOnly])
def test_a_module_with_its_own_forward_is_not_converted(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"does not give the outputs of torch.nn.*its forward is its own"):
        from_torch(seeded(kind, 3, 8))


def test_a_module_whose_hook_changes_the_outputs_is_not_converted() -> None:
    module = seeded(nn.GRU, 3, 8)
    module.register_forward_hook(lambda module, inputs, result: (3 * result[0], result[1]))
    with pytest.raises(ValueError, match="a hook changes them"):
        from_torch(module)


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_module_with_its_own_forward_is_measured_as_it_computes(batch_first: bool) -> None:
    """Twice the outputs of the LSTM have twice the gradient; a GRU that returns outputs only has that of the GRU."""
    doubling, plain = seeded(Doubling, 3, 8, batch_first=batch_first), seeded(nn.LSTM, 3, 8, batch_first=batch_first)
    found, expected = measures.gradient_reach(doubling, X), measures.gradient_reach(plain, X)
    assert found.norm == pytest.approx(2 * expected.norm, rel=1e-9)
    only, gru = seeded(OutputsOnly, 3, 8, batch_first=batch_first), seeded(nn.GRU, 3, 8, batch_first=batch_first)
    assert measures.gradient_reach(only, X).norm == pytest.approx(measures.gradient_reach(gru, X).norm, rel=1e-9)


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_the_last_output_of_a_module_with_projections_is_its_last_state() -> None:
    found = measures.last_output(seeded(nn.LSTM, 3, 8, proj_size=2, bidirectional=True), X)
    assert found["forward_last"]
    assert found["own_last"]
    assert found["backward_first"]
    assert not found["backward_last"]


def test_states_are_those_of_a_farback_network_only() -> None:
    module = seeded(nn.GRU, 3, 8)
    with pytest.raises(ValueError, match="states takes a farback network, such as from_torch gives; got GRU"):
        states(module, X)
    with pytest.raises(ValueError, match=r"shape \(B, T, 3\); got \(12, 3\)"):
        states(from_torch(module), X[0])


def test_a_lazy_module_that_was_never_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="run it once"):
        measures.gradient_reach(nn.Sequential(nn.LazyLinear(3)), X)
