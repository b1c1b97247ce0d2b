"""What measures assume of a callable is checked by running it: a wrong callable is refused, and says what was seen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from farback import measures
from farback.measures.support.system import as_system, measured
from farback.networks.module_copies import copied

X = torch.randn(12, 9, 3, generator=torch.Generator().manual_seed(1)).double()


def seeded(kind: Any, **options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(3, 4, **{"batch_first": True, **options}).double()


class Wrapped(nn.Module):
    """A module of another package: it has the layout of its inner module, and its tuples."""

    def __init__(self, inner: nn.Module, declares: bool = True) -> None:
        super().__init__()
        self.inner = inner
        if declares:
            self.batch_first = inner.batch_first

    def forward(self, x: Tensor, state: Any = None) -> Any:
        return self.inner(x, state)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_module_called_as_those_of_torch_is_measured_as_they_are(kind: Any, batch_first: bool, layers: int) -> None:
    inner = seeded(kind, batch_first=batch_first, num_layers=layers)
    own = Wrapped(inner)
    assert measures.gradient_reach(own, X).log_norm == pytest.approx(measures.gradient_reach(inner, X).log_norm)
    found, expected = (measures.causal_reach(system, X, [0, 1, 5]) for system in (own, inner))
    assert found.effect == pytest.approx(expected.effect)
    found, expected = (measures.truncation_reach(system, X) for system in (own, inner))
    assert found.kept == pytest.approx(expected.kept)
    volume, of_torch = (measures.lyapunov(system, X[:2]).exponents.sum() for system in (own, inner))
    assert volume == pytest.approx(of_torch)  # the sum does not depend on the order of the numbers of the state
    found, expected = (measures.jacobian_norms(system, X[:2], "frobenius") for system in (own, inner))
    assert found.log_norm == pytest.approx(expected.log_norm)


def test_the_steps_of_an_undeclared_time_first_module_are_not_taken_for_sequences() -> None:
    own = Wrapped(seeded(nn.GRU, batch_first=False), declares=False)
    for measure in (measures.gradient_reach, measures.lyapunov, measures.causal_reach, measures.truncation_reach):
        with pytest.raises(ValueError, match=r"of one sequence changed when another.*its GRU 'inner' has batch"):
            measure(own, X)
    right = measures.gradient_reach(lambda x: own(x.transpose(0, 1))[0].transpose(0, 1), X)
    assert right.log_norm == pytest.approx(measures.gradient_reach(own.inner, X).log_norm)


def mixed(x: Tensor) -> Tensor:
    return x - x.mean(0)


def test_sequences_that_affect_each_other_are_an_error() -> None:
    with pytest.raises(ValueError, match="outputs of one sequence changed when another sequence changed"):
        measured(mixed, X)


def test_other_outputs_for_the_same_inputs_are_an_error() -> None:
    with pytest.raises(ValueError, match="other outputs when the same inputs are run again"):
        measures.causal_reach(lambda x: nn.functional.dropout(x), X)


def forgetful(x: Tensor, scale: Any = None) -> tuple[Tensor, Tensor]:
    """The second argument is not a state."""
    return x.cumsum(1), x.cumsum(1)


class HidesCell(nn.Module):
    """An LSTM that returns and takes h only."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = seeded(nn.LSTM)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        state = None if h is None else (h[None].contiguous(), torch.zeros_like(h)[None])
        return self.inner(x, state)[0], self.inner(x, state)[0]


@pytest.mark.parametrize("system", [forgetful, HidesCell()], ids=["no state", "a part of the state"])
def test_a_state_that_does_not_continue_the_sequence_is_an_error(system: Any) -> None:
    for measure in (measures.lyapunov, measures.jacobian_norms):
        with pytest.raises(ValueError, match="when a sequence is run in two halves"):
            measure(system, X[:2])


class Pair(NamedTuple):
    sums: Tensor
    count: Tensor


def rotating(x: Tensor, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
    """h' = i/2 h + x, with a complex state in a dict beside a number of steps; the outputs are complex."""
    h = x.new_zeros(len(x), 3).to(torch.complex128) if state is None else state["pair"].sums
    count = x.new_zeros(len(x)) if state is None else state["pair"].count
    outputs = []
    for x_t in x.unbind(1):
        h, count = 0.5j * h + x_t, count + 1
        outputs.append(h)
    return torch.stack(outputs, 1), {"pair": Pair(h, count)}


def test_complex_outputs_and_states_count_as_two_numbers_each() -> None:
    wrapped, x = measured(rotating, X)
    output, state = wrapped.carry(x)
    assert output.shape == (12, 9, 6)
    assert state.shape == (12, 7)
    exponents = measures.lyapunov(rotating, X[:2]).exponents
    assert exponents == pytest.approx([0.0] + [np.log(0.5)] * 6)  # the count, and the numbers of the rotation
    assert measures.gradient_reach(rotating, X).tau == pytest.approx(1 / np.log(2))


class Rotation(nn.Module):
    """h' = a h + x with complex parameters, buffers, and one parameter under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([0.5j, 0.3 + 0.4j, -0.5]))
        self.same = self.factor
        self.register_buffer("start", torch.zeros(3, dtype=torch.complex64))
        self.into = nn.Linear(3, 3)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.start.expand(len(x), 3) if h is None else h
        outputs = []
        for x_t in self.into(x).unbind(1):
            h = (self.factor + self.same) / 2 * h + x_t
            outputs.append(h)
        return torch.stack(outputs, 1), torch.stack(outputs, 1)


def test_complex_parameters_of_a_module_keep_their_imaginary_part() -> None:
    assert measures.lyapunov(Rotation(), X[:2]).exponents == pytest.approx([np.log(0.5)] * 6)
    assert measures.gradient_reach(Rotation(), X).tau == pytest.approx(1 / np.log(2))
    assert copied(Rotation(), torch.float64).factor.dtype == torch.complex128


def test_the_error_of_a_callable_is_one_sentence_with_its_reason() -> None:
    def needs_a_state(x: Tensor, h: Tensor) -> Tensor:
        return x + h

    with pytest.raises(ValueError, match=r"needs_a_state fails on inputs of shape \(12, 9, 3\): TypeError.*'h'"):
        measures.gradient_reach(needs_a_state, X)


def test_a_class_instead_of_a_module_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"a system must be a torch\.nn\.RNN"):
        as_system(nn.GRU)
