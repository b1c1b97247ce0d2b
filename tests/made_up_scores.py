"""Tidy frames with every measure of the panel, of networks whose reaches are known because they were made up."""

import math

import numpy as np
import pandas as pd

EIGHT = {  # label: steps after which the gradient falls by e, at the start
    "GRU": 1.5,
    "GRU, chrono": 30.0,
    "LSTM": 2.0,
    "LSTM, chrono": 60.0,
    "RNN relu": 1.116,
    "RNN relu, identity": 300.0,
    "RNN tanh": 1.82,
    "RNN tanh, orthogonal": 90.0,
}
CHANCE = 0.25
LAGS = (1, 2, 5, 10, 20, 40, 80, 160, 320)
DENSE = range(161)


def rows_of(label, seed, values, train_lags="log-uniform 1-80", trained_lag=80, status="finished", end=500, **more):
    """Rows of one trial; `values` holds (measure, step, lag, statistic, value)."""
    key = f"{label}/{seed}/{train_lags}/{trained_lag}/{sorted(more.items())}"
    cell, _, init = label.partition(", ")
    base = {"key": key, "label": label, "cell": cell, "init": init or "torch", "task": "recall", "hidden": 32}
    base |= {"trained_lag": trained_lag, "train_lags": train_lags, "seed": seed, "status": status, **more}
    ended = [("training", end, -1, "updates", float(end))]
    return [
        base | dict(zip(("measure", "step", "lag", "statistic", "value"), row, strict=True))
        for row in [*values, *ended]
    ]


def gradient(step, tau, start=0.0, lags=DENSE):
    """10^start e^(-k / tau)."""
    curve = [("gradient_reach", step, k, "log10", start - k / tau / math.log(10)) for k in lags]
    numbers = {
        "tau": tau,
        "slope": -1 / tau,
        "half_life": tau * math.log(2),
        "reach": 3 * tau * math.log(10),
        "exploding": 0,
        "law": 1,
    }
    return [*curve, *(("gradient_reach", step, -1, name, float(value)) for name, value in numbers.items())]


def behaviour(step, horizon, lags=LAGS):
    """Right up to the horizon, at chance beyond."""
    found = []
    for k in lags:
        skill = 1.0 if k <= horizon else 0.0
        values = {"skill": skill, "accuracy": CHANCE + (1 - CHANCE) * skill, "chance_accuracy": CHANCE}
        values |= {"success": skill}
        found += [("retention", step, k, name, value) for name, value in values.items()]
    return found


def panel(seeds=5, nets=None):
    """Every measure at start and end, of nets like those of the panel experiment."""
    found = []
    for at, (label, tau) in enumerate((nets or EIGHT).items()):
        for seed in range(seeds):
            rng = np.random.default_rng([at, seed])
            values = []
            for step, scale in ((0, 1.0), (500, 6.0)):
                own = tau * scale * rng.uniform(0.8, 1.25)
                values += gradient(step, own, start=rng.normal() - 1)
                values += [("memory_function", step, k, "r2", math.exp(-2 * k / min(own, 12))) for k in DENSE]
                values += [("memory_function", step, k, "null_low", -0.02) for k in DENSE]
                values += [("memory_function", step, k, "null_high", 0.02) for k in DENSE]
                values += [("memory_function", step, -1, "features", 32.0)]
                values += [("probe", step, k, "skill", 1 / (1 + (k / own / 2) ** 3)) for k in LAGS]
                values += [("causal_reach", step, k, "effect", math.exp(-2 * k / own) / 2) for k in LAGS]
                values += behaviour(step, own * 3 if step else 0)
                spectrum = -1 / own - np.cumsum(rng.gamma(2.0, 0.05, 32))
                values += [("lyapunov", step, n, "exponent", float(value)) for n, value in enumerate(spectrum)]
                if label.startswith(("GRU", "LSTM")):
                    times = np.exp(rng.normal(math.log(own), 0.6, 32))
                    values += [("gate_times", step, n, "tau", float(value)) for n, value in enumerate(times)]
            for step, reached in ((100, 2), (200, 10), (300, 40)):
                values += behaviour(step, min(reached + seed, own * 3))
            found += rows_of(label, seed, values)
    return pd.DataFrame(found)


def lengths(nets=("GRU", "LSTM", "RNN tanh", "RNN relu"), lags=(5, 10, 20, 40), test=LAGS, seeds=3):
    """Trained at one lag each: right from a little below it to three times as far; and a mixed one right to 160."""
    found = []
    for at, label in enumerate(nets):
        for seed in range(seeds):
            for lag in lags:
                values = []
                for k in sorted({*test, lag}):
                    good = float(lag / (1 + at) <= k <= lag * (1 + seed))
                    values += [
                        ("retention", 500, k, "skill", good),
                        ("retention", 500, k, "accuracy", CHANCE + (1 - CHANCE) * good),
                        ("retention", 500, k, "chance_accuracy", CHANCE),
                        ("retention", 500, k, "success", good),
                    ]
                found += rows_of(label, seed, values, train_lags="fixed", trained_lag=lag)
            found += rows_of(label, seed, behaviour(500, 160), train_lags="log-uniform 1-40", trained_lag=40)
    return pd.DataFrame(found)


def loads(nets=("LSTM", "RNN tanh"), symbols=(2, 4, 8, 16), fillers=("blank", "noise", "same"), seeds=3):
    """Horizons that shrink with the load, and with distractors more than with time."""
    found = []
    for label in nets:
        for filler, factor in zip(fillers, (16, 4, 1), strict=True):
            for number in symbols:
                for seed in range(seeds):
                    values = behaviour(500, (seed + 1) * factor * 40 / number)
                    found += rows_of(label, seed, values, **{"task.symbols": number, "task.filler": filler})
    return pd.DataFrame(found)
