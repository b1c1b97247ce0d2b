"""The ruler is right on systems whose memory is known, and a wrong ruler is found out."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from farback import measures
from farback.measures.known import CASES, Check, check_all
from farback.measures.known.systems import Latch, Register, cascade, latched, linear, ring, shift_register
from farback.tasks import build


def off(ruler, case):
    return [check for _, checks in check_all(ruler, [case]) for check in checks if not check.holds]


def wrong(**functions):
    return SimpleNamespace(**{**vars(measures), **functions})


@pytest.mark.parametrize("case", CASES)
def test_the_ruler_is_right(case):
    assert off(measures, case) == []


def test_every_public_measure_is_held_against_something():
    named = {check.measure for _, checks in check_all(measures) for check in checks}
    public = {name for name in measures.names() if callable(getattr(measures, name, None))}
    public -= {"last_output"}  # of a module's outputs, not of its memory; tests/measures/test_last_output.py
    assert named == {*public, "fisher_memory"}


def late(inputs, states, max_lag, washout=0):
    """Off by one: the state of a step is taken for that of the step before."""
    return measures.memory_function(inputs[:-1], states[1:], max_lag, washout)


def naive(inputs, states, max_lag, washout=0):
    """R² without its adjustment: independent states seem to remember."""
    found = measures.memory_function(inputs, states, max_lag, washout)
    T, N = found.samples, found.features
    r2 = 1 - (1 - found.r2) * (T - N - 1) / (T - 1)
    return type(found)(found.lag, r2, found.null_low, found.null_high, N, T)


@pytest.mark.parametrize(
    ("case", "ruler"),
    [
        ("shift register", wrong(memory_function=late)),
        ("leaky cascade", wrong(memory_function=late)),
        ("null", wrong(memory_function=naive)),
        ("ring", wrong(lyapunov=lambda system, inputs, **more: measures.lyapunov(system, inputs))),  # never settles
        ("scaled orthogonal", wrong(jacobian_norms=lambda s, x, kind="spectral": measures.jacobian_norms(s, x))),
        ("parity", wrong(causal_reach=lambda s, x, lags: measures.causal_reach(s, 0.5 * x, [k + 1 for k in lags]))),
        ("shift register", wrong(probe=lambda s, x, lags: measures.probe(s, x, lags=[lag + 1 for lag in lags]))),
        ("constant gates", wrong(gate_times=lambda system, inputs: SimpleNamespace(tau=[2.0]))),
    ],
)
def test_a_wrong_ruler_is_found_out(case, ruler):
    assert off(ruler, case)


def test_what_is_no_number_does_not_hold():
    assert not Check("s", "m", "q", 1.0, math.nan).holds
    assert not Check("s", "m", "q", 1.0, math.inf).holds
    assert Check("s", "m", "q", math.inf, math.inf).error == 0
    assert Check("s", "m", "q", 1.0, 1.1, 0.1000001).holds


def test_the_systems_are_what_they_are_called():
    """By impulse, not by any measure."""
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


def test_the_latch_rests_where_it_should_and_the_register_answers():
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
