"""The measures give the known values on systems with known memory, and the checks detect a wrong measure."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from farback import measures
from farback.measures.known import Check, check_all
from farback.measures.known.systems import Latch, Register, cascade, latched, linear, ring, shift_register
from farback.tasks import build


def failures(functions, case):
    return [check for _, checks in check_all(functions, [case]) for check in checks if not check.holds]


def wrong(**functions):
    return SimpleNamespace(**{**vars(measures), **functions})


def test_every_public_measure_gives_the_known_values():
    checks = [check for _, checks in check_all(measures) for check in checks]
    assert [check for check in checks if not check.holds] == []
    public = {name for name in measures.names() if callable(getattr(measures, name, None))}
    public -= {"last_output"}  # compares outputs of a module; see tests/measures/test_last_output.py
    assert {check.measure for check in checks} == public


def late(inputs, states, max_lag, washout=0):
    """Off by one: pairs each input with the state of the next step."""
    return measures.memory_function(inputs[:-1], states[1:], max_lag, washout)


def naive(inputs, states, max_lag, washout=0):
    """R² without its adjustment: independent states seem to remember."""
    memory = measures.memory_function(inputs, states, max_lag, washout)
    T, N = memory.samples, memory.features
    return dataclasses.replace(memory, r2=1 - (1 - memory.r2) * (T - N - 1) / (T - 1))


def later(found):
    """Off by one: counts the inputs seen instead of their largest lag."""
    return dataclasses.replace(found, lag=found.lag + 1)


@pytest.mark.parametrize(
    ("case", "functions"),
    [
        ("shift register", wrong(memory_function=late)),
        ("leaky cascade", wrong(memory_function=late)),
        ("null", wrong(memory_function=naive)),
        ("ring", wrong(lyapunov=lambda system, inputs, **more: measures.lyapunov(system, inputs))),  # no burn-in
        ("scaled orthogonal", wrong(jacobian_norms=lambda s, x, kind="spectral": measures.jacobian_norms(s, x))),
        ("parity", wrong(causal_reach=lambda s, x, lags: measures.causal_reach(s, 0.5 * x, [k + 1 for k in lags]))),
        ("shift register", wrong(probe=lambda s, x, lags: measures.probe(s, x, lags=[lag + 1 for lag in lags]))),
        ("shift register", wrong(truncation_reach=lambda *a, **more: later(measures.truncation_reach(*a, **more)))),
        ("leaky cascade", wrong(truncation_reach=lambda *a, **more: later(measures.truncation_reach(*a, **more)))),
        ("constant gates", wrong(gate_times=lambda system, inputs: SimpleNamespace(tau=[2.0]))),
    ],
)
def test_a_wrong_measure_fails_its_checks(case, functions):
    assert failures(functions, case)


def test_a_check_of_nan_fails():
    assert not Check("s", "m", "q", 1.0, math.nan).holds
    assert not Check("s", "m", "q", 1.0, math.inf).holds
    assert Check("s", "m", "q", math.inf, math.inf).error == 0
    assert Check("s", "m", "q", 1.0, 1.1, 0.1000001).holds


def test_the_systems_have_the_impulse_responses_of_their_names():
    impulse = torch.zeros(1, 12, 1, dtype=torch.float64)
    impulse[0, 0] = 1.0
    with torch.no_grad():
        register = linear(*shift_register(4))(impulse)[0][0].numpy()
        ringing = linear(*ring(4, 0.5))(impulse)[0][0].numpy()
        leaking = cascade(2, 0.8)(impulse)[0][0, :, 0].numpy()
    assert register.tolist() == np.eye(12)[:, :4].tolist()
    assert ringing.sum(1) == pytest.approx(0.5 ** np.arange(12))
    k = np.arange(12)
    assert leaking == pytest.approx((k + 1) * 0.8**k * 0.2**2)


def test_the_latch_and_the_register_solve_recall():
    rest, slope = latched(2.0)
    assert (rest, slope) == (pytest.approx(0.957504, abs=1e-6), pytest.approx(0.166372, abs=1e-6))
    recall = build({"name": "recall", "symbols": 2, "filler": "blank", "lag": 50})
    batch = recall.sample(np.random.default_rng(0), 20)
    asked = batch.lag_BT >= 0
    assert (Latch(2.0)(batch.input_BTI)[0][asked].argmax(-1) == batch.target_BT[asked]).all()
    near = recall.at(5).sample(np.random.default_rng(0), 20)
    asked = near.lag_BT >= 0
    assert (Register(2, 6)(near.input_BTI)[0][asked].argmax(-1) == near.target_BT[asked]).all()
    assert (Register(2, 5)(near.input_BTI)[0][asked] == 0).all()
