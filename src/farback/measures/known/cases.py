"""Checks of the measures on systems with known memory.

Each case yields checks. A check holds if the measured value differs from the closed form by at most its tolerance:
rounding errors if the value is computed exactly, four standard errors if it is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from farback import tasks
from farback.measures.known import systems
from farback.measures.known.check import Check
from farback.measures.known.forgetting import cases as forgetting
from farback.measures.known.systems import SAMPLES, SEQUENCES, driven, signal, signals
from farback.system.random_streams import stream

SINGLE = 1e-5  # rounding errors of inputs in single precision
ERRORS = 4.0  # tolerance in standard errors: one false alarm in about 16 000 checks


def null_error(features: int, samples: int) -> float:
    """The standard error of one adjusted R² of independent states; R² follows a Beta distribution."""
    half, rest = features / 2, (samples - features - 1) / 2
    beta = math.sqrt(half * rest / ((half + rest) ** 2 * (half + rest + 1)))
    return beta * (samples - 1) / (samples - features - 1)


def effect_tolerance(share: float) -> float:
    """A tolerance for the causal effect of a uniform input that causes this share of the answer's variance.

    It is at least four standard errors: the squared difference of two uniform numbers has a standard deviation of 1.2
    times its mean, and the variance in the denominator adds less than that.
    """
    return ERRORS * 2 * share / math.sqrt(SEQUENCES)


def _at(found: Any, lag: int) -> float:
    """The share that is kept at a lag, on a line between those tested."""
    return float(np.interp(lag, found.lag, found.kept))


def register(measures: Any) -> Iterator[Check]:
    """A buffer of N inputs remembers everything up to lag N - 1 and nothing beyond."""
    name, N = "shift register, N = 12", 12
    W, w = systems.shift_register(N)
    exact = measures.linear_memory_function(W, w, 3 * N)
    yield Check(name, "linear_memory_function", "R² at lag N - 1", 1, exact.r2[N - 1])
    yield Check(name, "linear_memory_function", "R² at lag N", 0, exact.r2[N])
    yield Check(name, "linear_memory_function", "total from lag 0: N", N, exact.total())
    yield Check(name, "linear_memory_function", "total from lag 1: N - 1", N - 1, exact.total(1))
    module = systems.linear(W, w)
    signal_and_states = driven(module)
    memory = measures.memory_function(*signal_and_states, 3 * N, washout=100)
    tolerance = ERRORS * null_error(N, SAMPLES)
    yield Check(name, "memory_function", "R² at lag N - 1", 1, memory.r2[N - 1])
    yield Check(name, "memory_function", "R² at lag N", 0, memory.r2[N], tolerance)
    shared = math.sqrt(N * (2 * N + 1))  # one chance autocorrelation of the signal affects up to N lags
    yield Check(name, "memory_function", "total: N", N, memory.total(), tolerance * shared)
    norms = measures.jacobian_norms(module, signal(3 * N)).norm  # inputs keep relu units away from their kink
    yield Check(name, "jacobian_norms", "spectral norm at lag N - 1", 1, norms[N - 1])
    yield Check(name, "jacobian_norms", "spectral norm at lag N", 0, norms[N])
    yield Check(name, "gradient_reach", "reach: N - 1", N - 1, measures.gradient_reach(module, signal(2 * N)).reach())
    recall = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})
    curve = measures.retention(systems.Register(2, N), recall, [1, N - 1, N, 3 * N], 200)
    yield Check(name, "retention", "horizon, passes at N - 1", N - 1, curve.horizon.low)
    yield Check(name, "retention", "horizon, fails at N", N, curve.horizon.high)
    cues = stream(0, "calibrate", "cues").integers(2, size=(SEQUENCES, 2 * N))
    cue_BTI = np.stack([cues == 0, cues == 1, np.zeros_like(cues)], -1).astype(float)
    decoded = measures.probe(systems.Register(2, N).rnn, cue_BTI, lags=[0, N - 1, N])
    by_chance = ERRORS * math.sqrt(0.25 / (SEQUENCES / 3))  # a third of the sequences are scored
    yield Check(name, "probe", "accuracy at lag N - 1", 1, decoded.accuracy[1])
    yield Check(name, "probe", "accuracy at lag N: chance", 0.5, decoded.accuracy[2], by_chance)
    effect = measures.causal_reach(module, signals(2 * N), [0, N - 1, N])
    yield Check(name, "causal_reach", "effect at lag N - 1: 1 / N", 1 / N, effect.effect[1], effect_tolerance(1 / N))
    yield Check(name, "causal_reach", "effect at lag N", 0, effect.effect[2])
    seen = measures.truncation_reach(module, signals(2 * N))
    yield Check(name, "truncation_reach", "reach: N - 1", N - 1, seen.reach())
    seen = measures.truncation_reach(lambda x_BTI: module(x_BTI)[0][..., -1:], signals(2 * N))
    yield Check(name, "truncation_reach", "last slot, kept at lag N - 2", 0, _at(seen, N - 2))
    yield Check(name, "truncation_reach", "last slot, kept at lag N - 1", 1, _at(seen, N - 1))
    seen = measures.truncation_reach(systems.Register(2, N), task=recall.at(N - 1))
    yield Check(name, "truncation_reach", "reach on recall at lag N - 1", N - 1, seen.reach())
    fisher = measures.fisher_memory(W, w, N, noise=0.5)
    yield Check(name, "fisher_memory", "at lag 3: 1 / (noise (k + 1))", 1 / (0.5 * 4), fisher[3])
    capacity = measures.information_capacity(*signal_and_states, N + 2, 2, washout=100)
    yield Check(name, "information_capacity", "degree 1: N", N, capacity.by_degree[0], tolerance * shared)
    yield Check(name, "information_capacity", "degree 2: 0", 0, capacity.by_degree[1], tolerance * shared)


def ring(measures: Any) -> Iterator[Check]:
    """A buffer whose end feeds back into its start: each round keeps a share r^2N of the variance."""
    N, r = 10, 0.92
    name = f"ring, N = {N}, gain {r}"
    W, w = systems.ring(N, r)
    round_trip = r ** (2 * N)
    exact = measures.linear_memory_function(W, w, 60 * N)
    yield Check(name, "linear_memory_function", "R² at lag 0: 1 - r^2N", 1 - round_trip, exact.r2[0])
    yield Check(name, "linear_memory_function", "R² at lag N", round_trip * (1 - round_trip), exact.r2[N])
    yield Check(name, "linear_memory_function", "total from lag 1: N - 1 + r^2N", N - 1 + round_trip, exact.total(1))
    module = systems.linear(W, w)
    spectrum = measures.lyapunov(module, signal(6 * N), burn_in=2 * N)  # skip the steps until every unit is filled
    yield Check(name, "lyapunov", "largest exponent: ln r", math.log(r), spectrum.exponents[0])
    yield Check(name, "lyapunov", "smallest exponent: ln r", math.log(r), spectrum.exponents[-1])
    reach = measures.gradient_reach(module, signal(120))
    yield Check(name, "gradient_reach", "time constant: -1 / ln r", -1 / math.log(r), reach.tau, 1e-6)
    grown = measures.gradient_reach(systems.linear(*systems.ring(N, 1.04)), signal(120))
    yield Check("ring, N = 10, gain 1.04", "gradient_reach", "slope: ln r", math.log(1.04), grown.slope)
    yield Check("ring, N = 10, gain 1.04", "gradient_reach", "exploding: yes", 1, float(grown.exploding))


def cascades(measures: Any) -> Iterator[Check]:
    """A stack of leaky integrators: depth adds delay and does not change the decay rate of the tail."""
    a = 0.9
    for L in (1, 2, 3):
        name = f"leaky cascade, a = {a}, depth {L}"
        reach = measures.gradient_reach(systems.cascade(L, a), signal(500))
        k = np.arange(500)
        binomial = np.exp([math.lgamma(n + L) - math.lgamma(n + 1) - math.lgamma(L) for n in k])
        impulse = binomial * a**k * (1 - a) ** L
        yield Check(name, "gradient_reach", "at lag 9: C(k+L-1, k) a^k (1-a)^L", impulse[9], reach.norm[9])
        mean_lag = float((k * reach.norm).sum() / reach.norm.sum())
        yield Check(name, "gradient_reach", "mean lag: L a / (1 - a)", L * a / (1 - a), mean_lag, 1e-6)
    name, one = f"leaky cascade, a = {a}, depth 1", systems.cascade(1, a)
    memory = measures.memory_function(*driven(one), 20, washout=200)
    for lag in (0, 3):
        share = (1 - a * a) * a ** (2 * lag)
        off = ERRORS * math.sqrt(4 * share * (1 - share) ** 2 / SAMPLES)
        yield Check(name, "memory_function", f"R² at lag {lag}: (1 - a²) a^2k", share, memory.r2[lag], off)
    effect = measures.causal_reach(one, signals(150), [0, 3]).effect
    for lag, value in zip((0, 3), effect, strict=True):
        share = (1 - a * a) * a ** (2 * lag)
        yield Check(name, "causal_reach", f"effect at lag {lag}: (1 - a²) a^2k", share, value, effect_tolerance(share))
    seen = measures.truncation_reach(one, np.ones((1, 500, 1)))
    for lag in (1, 5, 20):
        yield Check(name, "truncation_reach", f"kept at lag {lag}: 1 - a^k", 1 - a**lag, _at(seen, lag))
    half = math.ceil(math.log(0.5) / math.log(a))
    yield Check(name, "truncation_reach", "reach: smallest k with 1 - a^k >= 1/2", half, seen.reach())
    yield Check(name, "jacobian_norms", "at lag 20: a^k", a**20, measures.jacobian_norms(one, signal(30)).norm[20])


def orthogonal(measures: Any) -> Iterator[Check]:
    """A rotation times rho: all directions shrink at the same rate."""
    N, rho = 24, 0.94
    name, module = f"orthogonal, N = {N}, gain {rho}", systems.scaled_orthogonal(24, rho)
    quiet = np.zeros((300, 1))
    spectral = measures.jacobian_norms(module, quiet[:40])
    frobenius = measures.jacobian_norms(module, quiet[:40], kind="frobenius")
    yield Check(name, "jacobian_norms", "spectral norm at lag 20: rho^k", rho**20, spectral.norm[20])
    yield Check(name, "jacobian_norms", "Frobenius norm at lag 20", math.sqrt(N) * rho**20, frobenius.norm[20])
    exponents = measures.lyapunov(module, quiet[:40]).exponents
    yield Check(name, "lyapunov", "largest exponent: ln rho", math.log(rho), exponents[0])
    yield Check(name, "lyapunov", "smallest exponent: ln rho", math.log(rho), exponents[-1])
    reach = measures.gradient_reach(module, quiet)
    halving, thousandth = math.log(0.5) / math.log(rho), math.log(1e-3) / math.log(rho)
    yield Check(name, "gradient_reach", "time constant: -1 / ln rho", -1 / math.log(rho), reach.tau, 1e-6)
    yield Check(name, "gradient_reach", "half-life: -ln 2 / ln rho", halving, reach.half_life, 1e-6)
    yield Check(name, "gradient_reach", "reach: largest k with rho^k >= 1e-3", math.floor(thousandth), reach.reach())


def latch(measures: Any) -> Iterator[Check]:
    """A tanh unit with self-feedback keeps one bit for ever, while its gradient vanishes within a step."""
    weight = 2.2
    name, module = f"tanh latch, w = {weight}", systems.Latch(weight)
    _, slope = systems.latched(weight)
    pulse = np.zeros((80, 3))
    pulse[0, 0] = 1.0
    rate = measures.lyapunov(module.rnn, pulse, burn_in=40).largest
    yield Check(name, "lyapunov", "exponent at rest: ln slope", math.log(slope), rate)
    settled = measures.jacobian_norms(module.rnn, pulse, window=(1, 20))
    yield Check(name, "jacobian_norms", "time constant: -1 / ln slope", -1 / math.log(slope), settled.tau, 1e-6)
    recall = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})
    curve = measures.retention(module, recall, [1, 10, 100, 1000], 100)
    yield Check(name, "retention", "accuracy at lag 1000", 1, curve.accuracy[-1])
    yield Check(name, "retention", "horizon: beyond every lag", math.inf, curve.horizon.high)
    for size in (1, 3):
        states = measures.multistability(systems.latches(size, weight), recall, steps=100)
        yield Check(f"{size} tanh latches, w = {weight}", "multistability", "states: 2^N", 2**size, states.count)


def gates(measures: Any) -> Iterator[Check]:
    """A constant keep gate f keeps f^k after k steps."""
    for kind, keep in (("lstm", 0.9), ("lstm", 0.98), ("gru", 0.95)):
        name, module = f"{kind.upper()} that keeps {keep}", systems.gated(kind, keep)
        quiet = np.zeros((60, 1))
        reach = measures.gradient_reach(module, quiet)
        yield Check(name, "gradient_reach", "ratio at lag 30: f^k", keep**30, reach.ratio[30])
        times = measures.gate_times(module, quiet)
        yield Check(name, "gate_times", "time constant: -1 / ln f", -1 / math.log(keep), times.tau[0], 1e-6)


def parity(measures: Any) -> Iterator[Check]:
    """The product of the last m signs: a change of any sign changes the answer, so the effects sum to m."""
    name, m = "parity of 5 signs", 5
    signs = stream(0, "calibrate", "signs").choice([-1.0, 1.0], size=(SEQUENCES, 12, 1))
    effect = measures.causal_reach(lambda x_BTI: systems.parity(x_BTI, m), signs, range(m + 1)).effect
    tolerance = ERRORS / math.sqrt(SEQUENCES)  # a redrawn sign changes half of the time
    yield Check(name, "causal_reach", "effect at lag m - 1: 1", 1, effect[m - 1], tolerance)
    yield Check(name, "causal_reach", "effect at lag m: 0", 0, effect[m])
    yield Check(name, "causal_reach", "sum over lags: m", m, effect.sum(), tolerance * math.sqrt(m))


def weighted(measures: Any) -> Iterator[Check]:
    """A weighted sum of the last inputs: the recovered kernel must be these weights."""
    name, weights = "weighted sum of 4 inputs", [0.5, 0.0, -0.3, 0.2]
    task = tasks.build({"name": "kernel", "lag": 5})
    kernel = measures.kernel_recovery(lambda x_BTI: systems.weighted(x_BTI, weights), task, 100)
    yield Check(name, "kernel_recovery", "weight at lag 2", weights[2], kernel.recovered[2], SINGLE)
    yield Check(name, "kernel_recovery", "weight at lag 4: 0", 0, kernel.recovered[4], SINGLE)
    yield Check(name, "kernel_recovery", "linear share of the answer", 1, kernel.linear, SINGLE)


def memoryless(measures: Any) -> Iterator[Check]:
    """A network without recurrence remembers nothing."""
    name = "memoryless, N = 6"
    module = systems.linear(np.zeros((6, 6)), np.ones(6))
    yield Check(name, "gradient_reach", "reach: 0", 0, measures.gradient_reach(module, signal(20)).reach())
    yield Check(name, "causal_reach", "effect at lag 1", 0, measures.causal_reach(module, signals(4), [1]).effect[0])
    yield Check(name, "truncation_reach", "reach: 0", 0, measures.truncation_reach(module, signals(9)).reach())
    yield Check(name, "lyapunov", "exponent: none", -math.inf, measures.lyapunov(module, signal(20)).largest)
    memory = measures.memory_function(*driven(module), 40, washout=100)
    yield Check(name, "memory_function", "R² at lag 0", 1, memory.r2[0])
    tolerance = ERRORS * null_error(1, SAMPLES) * math.sqrt(40)  # six equal units are one feature
    yield Check(name, "memory_function", "total from lag 1: 0", 0, memory.total(1), tolerance)
    recall = tasks.build({"name": "recall", "symbols": 4})
    curve = measures.retention(lambda x_BTI: (x_BTI[..., :4], x_BTI), recall, [1, 2], 2000)
    by_chance = ERRORS * math.sqrt(0.25 * 0.75 / 2000)
    yield Check(name, "retention", "accuracy at lag 1: chance", 0.25, curve.accuracy[0], by_chance)
    yield Check(name, "retention", "horizon: none", 0, curve.horizon.low)


def null(measures: Any) -> Iterator[Check]:
    """States independent of the input: unadjusted R² would sum to N k / T over k lags, adjusted R² sums to 0."""
    N, T, lags = 100, 2000, 200
    name = f"independent states, N = {N}"
    rng = stream(0, "calibrate", "null")
    memory = measures.memory_function(rng.normal(size=T), rng.normal(size=(T, N)), lags - 1)
    steps = T - lags + 1
    tolerance = ERRORS * null_error(N, steps) * math.sqrt(lags)
    yield Check(name, "memory_function", "total over 200 lags: 0", 0, memory.total(), tolerance)
    inside = float(((memory.r2 >= memory.null_low) & (memory.r2 <= memory.null_high)).mean())
    yield Check(name, "memory_function", "share within the null band", 0.95, inside, ERRORS * math.sqrt(0.0475 / lags))


CASES: dict[str, Callable[[Any], Iterator[Check]]] = {
    "shift register": register,
    "ring": ring,
    "leaky cascade": cascades,
    "scaled orthogonal": orthogonal,
    "tanh latch": latch,
    "constant gates": gates,
    "parity": parity,
    "weighted sum": weighted,
    "memoryless": memoryless,
    "null": null,
    "forgetting": forgetting,
}


def check_all(measures: Any, cases: Iterable[str] = tuple(CASES)) -> Iterator[tuple[str, list[Check]]]:
    """Each case with its checks; `measures` is `farback.measures` or any object with the same functions."""
    for case in cases:
        yield case, list(CASES[case](measures))
