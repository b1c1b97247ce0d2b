"""What each measure must say of each known system.

A case yields checks; a check holds when what was measured differs from what is expected by no more than its tolerance:
rounding where the measure is exact, four standard errors where it is a simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from farback import tasks
from farback.measures.known import systems
from farback.measures.known.signals import ERRORS, SAMPLES, SEQUENCES, driven, many, null_error, positive, resampled
from farback.system.random_streams import stream

Ruler = Any  # what holds the public functions under their names: the package `farback.measures`, or a test's other one

ROUNDING = 1e-9
SINGLE = 1e-5  # rounding of inputs in single precision


@dataclass(frozen=True)
class Check:
    """One number that is known, and what was measured.

    Attributes:
        system: the system's name.
        measure: the public function.
        quantity: what was asked of it, with the formula of what is expected.
        expected: the closed form.
        measured: by the public function.
        tolerance: how far the two may lie apart.
    """

    system: str
    measure: str
    quantity: str
    expected: float
    measured: float
    tolerance: float = ROUNDING

    @property
    def error(self) -> float:
        """Measured less expected; 0 where both are the same infinity."""
        return 0.0 if self.measured == self.expected else self.measured - self.expected

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance; nothing that is not a number holds."""
        return abs(self.error) <= self.tolerance


def register(ruler: Ruler) -> Iterator[Check]:
    """A buffer of N inputs: all of each up to lag N - 1, nothing beyond."""
    name, N = "shift register, N = 12", 12
    W, w = systems.shift_register(N)
    exact = ruler.linear_memory_function(W, w, 3 * N)
    yield Check(name, "linear_memory_function", "R² at lag N - 1", 1, exact.r2[N - 1])
    yield Check(name, "linear_memory_function", "R² at lag N", 0, exact.r2[N])
    yield Check(name, "linear_memory_function", "total from lag 0: N", N, exact.total())
    yield Check(name, "linear_memory_function", "total from lag 1: N - 1", N - 1, exact.total(1))
    module = systems.linear(W, w)
    found = ruler.memory_function(*driven(module), 3 * N, washout=100)
    off = ERRORS * null_error(N, SAMPLES)
    yield Check(name, "memory_function", "R² at lag N - 1", 1, found.r2[N - 1])
    yield Check(name, "memory_function", "R² at lag N", 0, found.r2[N], off)
    shared = math.sqrt(N * (2 * N + 1))  # one chance correlation of the signal with itself is seen at up to N lags
    yield Check(name, "memory_function", "total: N", N, found.total(), off * shared)
    norms = ruler.jacobian_norms(module, positive(3 * N)).norm  # under inputs, or the units rest on relu's kink
    yield Check(name, "jacobian_norms", "spectral norm at lag N - 1", 1, norms[N - 1])
    yield Check(name, "jacobian_norms", "spectral norm at lag N", 0, norms[N])
    yield Check(name, "gradient_reach", "reach: N - 1", N - 1, ruler.gradient_reach(module, positive(2 * N)).reach())
    recall = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})
    kept = ruler.retention(systems.Register(2, N), recall, [1, N - 1, N, 3 * N], 200)
    yield Check(name, "retention", "horizon, passes at N - 1", N - 1, kept.horizon.low)
    yield Check(name, "retention", "horizon, fails at N", N, kept.horizon.high)
    cues = stream(0, "calibrate", "cues").integers(2, size=(SEQUENCES, 2 * N))
    shown = np.stack([cues == 0, cues == 1, np.zeros_like(cues)], -1).astype(float)
    decoded = ruler.probe(systems.Register(2, N).rnn, shown, lags=[0, N - 1, N])
    by_chance = ERRORS * math.sqrt(0.25 / (SEQUENCES / 3))  # a third of the sequences are scored
    yield Check(name, "probe", "accuracy at lag N - 1", 1, decoded.accuracy[1])
    yield Check(name, "probe", "accuracy at lag N: chance", 0.5, decoded.accuracy[2], by_chance)
    effect = ruler.causal_reach(module, many(2 * N), [0, N - 1, N])
    yield Check(name, "causal_reach", "effect at lag N - 1: 1 / N", 1 / N, effect.effect[1], resampled(1 / N))
    yield Check(name, "causal_reach", "effect at lag N", 0, effect.effect[2])
    fisher = ruler.fisher_memory(W, w, N, noise=0.5)
    yield Check(name, "fisher_memory", "at lag 3: 1 / (noise (k + 1))", 1 / (0.5 * 4), fisher[3])
    capacity = ruler.information_capacity(*driven(module), N + 2, 2, washout=100)
    yield Check(name, "information_capacity", "degree 1: N", N, capacity.by_degree[0], off * shared)
    yield Check(name, "information_capacity", "degree 2: 0", 0, capacity.by_degree[1], off * shared)


def ring(ruler: Ruler) -> Iterator[Check]:
    """A buffer whose end leads back: every round keeps a share r^2N of what is left."""
    N, r = 10, 0.92
    name = f"ring, N = {N}, gain {r}"
    W, w = systems.ring(N, r)
    round_trip = r ** (2 * N)
    exact = ruler.linear_memory_function(W, w, 60 * N)
    yield Check(name, "linear_memory_function", "R² at lag 0: 1 - r^2N", 1 - round_trip, exact.r2[0])
    yield Check(name, "linear_memory_function", "R² at lag N", round_trip * (1 - round_trip), exact.r2[N])
    yield Check(name, "linear_memory_function", "total from lag 1: N - 1 + r^2N", N - 1 + round_trip, exact.total(1))
    module = systems.linear(W, w)
    spectrum = ruler.lyapunov(module, positive(6 * N), burn_in=2 * N)  # until every slot is filled
    yield Check(name, "lyapunov", "largest exponent: ln r", math.log(r), spectrum.exponents[0])
    yield Check(name, "lyapunov", "smallest exponent: ln r", math.log(r), spectrum.exponents[-1])
    reach = ruler.gradient_reach(module, positive(120))
    yield Check(name, "gradient_reach", "time constant: -1 / ln r", -1 / math.log(r), reach.tau, 1e-6)
    grown = ruler.gradient_reach(systems.linear(*systems.ring(N, 1.04)), positive(120))
    yield Check("ring, N = 10, gain 1.04", "gradient_reach", "slope: ln r", math.log(1.04), grown.slope)
    yield Check("ring, N = 10, gain 1.04", "gradient_reach", "exploding: yes", 1, float(grown.exploding))


def cascades(ruler: Ruler) -> Iterator[Check]:
    """Leaky integrators in a row: depth adds delay, the rate of the tail stays."""
    a = 0.9
    for L in (1, 2, 3):
        name = f"leaky cascade, a = {a}, depth {L}"
        found = ruler.gradient_reach(systems.cascade(L, a), positive(500))
        k = np.arange(500)
        binomial = np.exp([math.lgamma(n + L) - math.lgamma(n + 1) - math.lgamma(L) for n in k])
        impulse = binomial * a**k * (1 - a) ** L
        yield Check(name, "gradient_reach", "at lag 9: C(k+L-1, k) a^k (1-a)^L", impulse[9], found.norm[9])
        mean = float((k * found.norm).sum() / found.norm.sum())
        yield Check(name, "gradient_reach", "mean lag: L a / (1 - a)", L * a / (1 - a), mean, 1e-6)
    name, one = f"leaky cascade, a = {a}, depth 1", systems.cascade(1, a)
    memory = ruler.memory_function(*driven(one), 20, washout=200)
    for lag in (0, 3):
        share = (1 - a * a) * a ** (2 * lag)
        off = ERRORS * math.sqrt(4 * share * (1 - share) ** 2 / SAMPLES)
        yield Check(name, "memory_function", f"R² at lag {lag}: (1 - a²) a^2k", share, memory.r2[lag], off)
    effect = ruler.causal_reach(one, many(150), [0, 3]).effect
    for lag, found in zip((0, 3), effect, strict=True):
        share = (1 - a * a) * a ** (2 * lag)
        yield Check(name, "causal_reach", f"effect at lag {lag}: (1 - a²) a^2k", share, found, resampled(share))
    yield Check(name, "jacobian_norms", "at lag 20: a^k", a**20, ruler.jacobian_norms(one, positive(30)).norm[20])


def orthogonal(ruler: Ruler) -> Iterator[Check]:
    """Turning and shrinking by rho: every direction alike."""
    N, rho = 24, 0.94
    name, module = f"orthogonal, N = {N}, gain {rho}", systems.scaled_orthogonal(24, rho)
    quiet = np.zeros((300, 1))
    spectral = ruler.jacobian_norms(module, quiet[:40])
    frobenius = ruler.jacobian_norms(module, quiet[:40], kind="frobenius")
    yield Check(name, "jacobian_norms", "spectral norm at lag 20: rho^k", rho**20, spectral.norm[20])
    yield Check(name, "jacobian_norms", "Frobenius norm at lag 20", math.sqrt(N) * rho**20, frobenius.norm[20])
    exponents = ruler.lyapunov(module, quiet[:40]).exponents
    yield Check(name, "lyapunov", "largest exponent: ln rho", math.log(rho), exponents[0])
    yield Check(name, "lyapunov", "smallest exponent: ln rho", math.log(rho), exponents[-1])
    found = ruler.gradient_reach(module, quiet)
    halving, thousandth = math.log(0.5) / math.log(rho), math.log(1e-3) / math.log(rho)
    yield Check(name, "gradient_reach", "time constant: -1 / ln rho", -1 / math.log(rho), found.tau, 1e-6)
    yield Check(name, "gradient_reach", "half-life: -ln 2 / ln rho", halving, found.half_life, 1e-6)
    yield Check(name, "gradient_reach", "reach: largest k with rho^k >= 1e-3", math.floor(thousandth), found.reach())


def latch(ruler: Ruler) -> Iterator[Check]:
    """A tanh unit that feeds itself: it keeps one bit for ever, and its gradient is gone in a step."""
    weight = 2.2
    name, module = f"tanh latch, w = {weight}", systems.Latch(weight)
    _, slope = systems.latched(weight)
    pulse = np.zeros((80, 3))
    pulse[0, 0] = 1.0
    rate = ruler.lyapunov(module.rnn, pulse, burn_in=40).largest
    yield Check(name, "lyapunov", "exponent at rest: ln slope", math.log(slope), rate)
    settled = ruler.jacobian_norms(module.rnn, pulse, window=(1, 20))
    yield Check(name, "jacobian_norms", "time constant: -1 / ln slope", -1 / math.log(slope), settled.tau, 1e-6)
    recall = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})
    kept = ruler.retention(module, recall, [1, 10, 100, 1000], 100)
    yield Check(name, "retention", "accuracy at lag 1000", 1, kept.accuracy[-1])
    yield Check(name, "retention", "horizon: beyond every lag", math.inf, kept.horizon.high)


def gates(ruler: Ruler) -> Iterator[Check]:
    """A keep gate that is constant: what it keeps is f^k."""
    for kind, keep in (("lstm", 0.9), ("lstm", 0.98), ("gru", 0.95)):
        name, module = f"{kind.upper()} that keeps {keep}", systems.gated(kind, keep)
        quiet = np.zeros((60, 1))
        found = ruler.gradient_reach(module, quiet)
        yield Check(name, "gradient_reach", "ratio at lag 30: f^k", keep**30, found.ratio[30])
        times = ruler.gate_times(module, quiet)
        yield Check(name, "gate_times", "time constant: -1 / ln f", -1 / math.log(keep), times.tau[0], 1e-6)


def parity(ruler: Ruler) -> Iterator[Check]:
    """The product of the last m signs: every one of them decides, and together they count m times."""
    name, m = "parity of 5 signs", 5
    signs = stream(0, "calibrate", "signs").choice([-1.0, 1.0], size=(SEQUENCES, 12, 1))
    effect = ruler.causal_reach(lambda x_BTI: systems.parity(x_BTI, m), signs, range(m + 1)).effect
    off = ERRORS / math.sqrt(SEQUENCES)  # a sign drawn anew is another one half of the time
    yield Check(name, "causal_reach", "effect at lag m - 1: 1", 1, effect[m - 1], off)
    yield Check(name, "causal_reach", "effect at lag m: 0", 0, effect[m])
    yield Check(name, "causal_reach", "sum over lags: m", m, effect.sum(), off * math.sqrt(m))


def weighted(ruler: Ruler) -> Iterator[Check]:
    """A weighted sum of the last inputs: the weights themselves."""
    name, weights = "weighted sum of 4 inputs", [0.5, 0.0, -0.3, 0.2]
    task = tasks.build({"name": "kernel", "lag": 5})
    found = ruler.kernel_recovery(lambda x_BTI: systems.weighted(x_BTI, weights), task, 100)
    yield Check(name, "kernel_recovery", "weight at lag 2", weights[2], found.recovered[2], SINGLE)
    yield Check(name, "kernel_recovery", "weight at lag 4: 0", 0, found.recovered[4], SINGLE)
    yield Check(name, "kernel_recovery", "linear share of the answer", 1, found.linear, SINGLE)


def memoryless(ruler: Ruler) -> Iterator[Check]:
    """No recurrence: nothing of any earlier step."""
    name = "memoryless, N = 6"
    module = systems.linear(np.zeros((6, 6)), np.ones(6))
    yield Check(name, "gradient_reach", "reach: 0", 0, ruler.gradient_reach(module, positive(20)).reach())
    yield Check(name, "causal_reach", "effect at lag 1", 0, ruler.causal_reach(module, many(4), [1]).effect[0])
    yield Check(name, "lyapunov", "exponent: none", -math.inf, ruler.lyapunov(module, positive(20)).largest)
    found = ruler.memory_function(*driven(module), 40, washout=100)
    yield Check(name, "memory_function", "R² at lag 0", 1, found.r2[0])
    off = ERRORS * null_error(1, SAMPLES) * math.sqrt(40)  # six equal units are one number
    yield Check(name, "memory_function", "total from lag 1: 0", 0, found.total(1), off)
    recall = tasks.build({"name": "recall", "symbols": 4})
    kept = ruler.retention(lambda x_BTI: (x_BTI[..., :4], x_BTI), recall, [1, 2], 2000)
    by_chance = ERRORS * math.sqrt(0.25 * 0.75 / 2000)
    yield Check(name, "retention", "accuracy at lag 1: chance", 0.25, kept.accuracy[0], by_chance)
    yield Check(name, "retention", "horizon: none", 0, kept.horizon.low)


def null(ruler: Ruler) -> Iterator[Check]:
    """States that are independent of the input: the sum of naive R² over 200 lags would be N k / T, not 0."""
    N, T, lags = 100, 2000, 200
    name = f"independent states, N = {N}"
    rng = stream(0, "calibrate", "null")
    found = ruler.memory_function(rng.normal(size=T), rng.normal(size=(T, N)), lags - 1)
    steps = T - lags + 1
    off = ERRORS * null_error(N, steps) * math.sqrt(lags)
    yield Check(name, "memory_function", "total over 200 lags: 0", 0, found.total(), off)
    inside = float(((found.r2 >= found.null_low) & (found.r2 <= found.null_high)).mean())
    yield Check(name, "memory_function", "share within the null band", 0.95, inside, ERRORS * math.sqrt(0.0475 / lags))


CASES: dict[str, Callable[[Ruler], Iterator[Check]]] = {
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
}


def check_all(ruler: Ruler, cases: Iterable[str] = tuple(CASES)) -> Iterator[tuple[str, list[Check]]]:
    """Measure every known system.

    Args:
        ruler: the package `farback.measures`, or whatever has the public functions under their names.
        cases: names from `CASES`.

    Yields:
        Each case's name with its checks, as they come.
    """
    for case in cases:
        yield case, list(CASES[case](ruler))
