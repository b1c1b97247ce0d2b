"""Numbers as people have them: NumPy scalars, arrays, data frames, tensors; huge, tiny and complex values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from farback import measures, tasks
from farback.measures.support.numbers import scaled, sequences, whole_numbers

RECALL = tasks.build({"name": "recall", "symbols": 4, "lag": 5})


def gru(inputs: int = 3, seed: int = 0) -> nn.GRU:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.GRU(inputs, 6, batch_first=True)


LAGS = [
    np.arange(1, 3),
    np.array([1.0, 2.0]),
    (np.int64(1), np.int32(2)),
    torch.tensor([1, 2]),
    pd.Series([1, 2]),
    range(1, 3),
    {1, 2},
    (lag for lag in (1, 2)),
]


@pytest.mark.parametrize("lags", LAGS, ids=lambda lags: type(lags).__name__)
def test_whole_numbers_may_have_any_form(lags: Any) -> None:
    found = whole_numbers("lags", lags)
    assert found == [1, 2]
    assert all(type(lag) is int for lag in found)


@pytest.mark.parametrize("lags", [[1.5], ["1"], [[1, 2]], [np.nan], [np.inf], "12", [1j], None], ids=str)
def test_numbers_that_are_not_whole_are_an_error(lags: Any) -> None:
    with pytest.raises(ValueError, match="lags must be"):
        whole_numbers("lags", lags)


def test_every_measure_at_lags_takes_arrays_of_lags() -> None:
    net = nn.Sequential(nn.Linear(RECALL.inputs, 4))
    x = torch.randn(40, 6, RECALL.inputs)
    for lags in (np.arange(1, 3), pd.Series([1, 2]), np.logspace(0, 0.4, 2).astype(int)):
        assert measures.retention(net, RECALL, lags, np.int64(20)).lag.tolist() == [1, 2]
        assert measures.length_matrix({np.int64(2): net}, RECALL, lags, 20).lag.tolist() == [1, 2]
        assert measures.causal_reach(net, x, lags, step=np.int64(4)).lag.tolist() == [1, 2]
        assert measures.probe(net, x, None, lags).lag.tolist() == [1, 2]
    assert measures.retention(net, RECALL, np.int64(2), 20).lag.tolist() == [2]
    with pytest.raises(ValueError, match=r"lags must be whole numbers, got \[1.5\]"):
        measures.retention(net, RECALL, [1.5], 20)


def test_components_are_built_from_numpy_numbers() -> None:
    assert tasks.build({"name": "recall", "lag": np.int64(7)}) == tasks.build({"name": "recall", "lag": 7})
    own = measures.build({"name": "retention", "lags": np.arange(1, 4)})
    assert own.digest() == measures.build({"name": "retention", "lags": [1, 2, 3]}).digest()


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, torch.tensor, lambda x: torch.tensor(x).bfloat16(), list])
def test_inputs_of_one_sequence_may_have_any_form(form: Any) -> None:
    x = np.arange(12.0).reshape(4, 3) / 4
    assert torch.equal(sequences(form(x.tolist())), torch.from_numpy(x)[None])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.ones((4, 3)) * 1j, "inputs must be real.*real and imaginary parts as separate"),
        ([[1.0, np.nan]], r"inputs must be finite; 1 values are not, the first is nan at \(0, 1\)"),
        ([["a", "b"]], "inputs must be numbers"),
        ([[1.0], [1.0, 2.0]], "inputs must be numbers"),
        (pd.DataFrame({"a": ["x", "y"]}), "inputs must be numbers"),
    ],
    ids=range(5),
)
def test_inputs_that_are_not_real_numbers_are_an_error(inputs: Any, message: str) -> None:
    for measure in (measures.gradient_reach, measures.lyapunov, measures.gate_times):
        with pytest.raises(ValueError, match=message):
            measure(gru(), inputs)


@pytest.mark.parametrize("count", [30, 64, 65])
def test_few_sequences_of_real_numbers_are_numbers(count: int) -> None:
    """The decoder of the present input is a regression of the numbers, whether these are given as symbols or not."""
    x = np.random.default_rng(0).standard_normal((count, 6, 1))
    found, expected = measures.probe(gru(1), x, None, [0, 1]), measures.probe(gru(1), x, x[..., 0], [0, 1])
    assert found.skill == pytest.approx(expected.skill, rel=1e-9)
    assert found.classes.tolist() == [0, 0]
    assert found.skill[0] > 0.9


def test_few_sequences_of_symbols_are_symbols() -> None:
    symbol_BT = np.random.default_rng(0).integers(3, size=(60, 5))
    found = measures.probe(gru(3), np.eye(3)[symbol_BT], None, [0])
    assert found.classes.tolist() == [3]
    names = np.array(["a", "b", "c"])[symbol_BT]
    assert measures.probe(gru(3), np.eye(3)[symbol_BT], names, [0]).skill == pytest.approx(found.skill)


def signal(steps: int = 600) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, size=steps)


def test_the_memory_function_takes_what_torch_returns() -> None:
    x = torch.from_numpy(signal()[None, :, None]).float()
    result = gru(1)(x)
    expected = measures.memory_function(x[0, :, 0], result[0][0].detach(), 5).r2
    for states in (result, result[0], result[0][0], pd.DataFrame(result[0][0].detach().numpy())):
        for inputs in (x, x[0], x[0, :, 0], pd.Series(x[0, :, 0].numpy())):
            assert measures.memory_function(inputs, states, 5).r2 == pytest.approx(expected, rel=1e-9)


def test_a_complex_state_is_two_numbers() -> None:
    input_T = signal()
    delayed = np.stack([np.roll(input_T, 1), np.roll(input_T, 3)], 1)
    both = delayed[:, :1] + 1j * delayed[:, 1:]
    expected = measures.memory_function(input_T, delayed, 5, washout=10)
    assert np.array_equal(measures.memory_function(input_T, both, 5, washout=10).r2, expected.r2)
    assert expected.r2[[1, 3]] == pytest.approx(1)


@pytest.mark.parametrize("size", [2.0**700, 2.0**-700])
def test_the_scale_of_numbers_does_not_change_what_does_not_depend_on_it(size: float) -> None:
    input_T = signal()
    input_BT = input_T.reshape(100, 6)
    states = np.stack([np.roll(input_T, 1), input_T**2], 1)
    for measure in (
        lambda a, s: measures.memory_function(s * input_T, a * states, 4, washout=5).r2,
        lambda a, s: measures.information_capacity(s * input_T, a * states, 3, 2, "normal", washout=5).capacity_DK,
        lambda a, s: measures.causal_reach(lambda x: s * x.cumsum(1), input_T.reshape(100, 6, 1)).effect,
        lambda a, s: measures.truncation_reach(lambda x: s * x.cumsum(1), input_T.reshape(100, 6, 1)).kept,
        lambda a, s: measures.probe(lambda x: x.cumsum(1), input_BT[..., None], s * input_BT).skill,
    ):
        assert measure(size, size) == pytest.approx(measure(1.0, 1.0), rel=1e-9)


def test_scaling_keeps_every_digit() -> None:
    values = signal(50) * 3
    assert np.array_equal(scaled(values) * 4, values)
    assert np.array_equal(scaled(np.zeros(3)), np.zeros(3))


@pytest.mark.parametrize(
    ("targets", "classes"),
    [(np.array([0, 1, 5]), True), ([0, 1], True), (np.zeros((3, 2)), False), ([0.5, 1, 1], True)],
)
def test_targets_that_do_not_fit_are_an_error(targets: Any, classes: bool) -> None:
    with pytest.raises(ValueError, match="targets must be"):
        measures.causal_reach(lambda x: x, np.eye(3)[[[0, 1], [1, 2], [2, 0]]], classes=classes, targets=targets)


def test_targets_may_be_a_series_of_small_integers() -> None:
    x = np.eye(3)[[[0, 1], [1, 2], [2, 0]]]
    found = measures.causal_reach(lambda x: x, x, classes=True, targets=pd.Series([1, 2, 0], dtype="int8"))
    expected = measures.causal_reach(lambda x: x, x, classes=True, targets=torch.tensor([1, 2, 0]))
    assert np.array_equal(found.loss_increase, expected.loss_increase)


@pytest.mark.parametrize("wrong", [np.nan, -np.inf, 1j])
def test_symbols_that_are_no_real_numbers_are_an_error(wrong: complex) -> None:
    x = np.random.default_rng(0).normal(size=(40, 5, 3))
    with pytest.raises(ValueError, match=r"symbols must be (finite|real)"):
        measures.probe(gru(), x, np.where(x[..., 0] > 1, wrong, x[..., 0]), [0])
