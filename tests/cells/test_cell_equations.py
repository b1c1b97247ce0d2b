"""Each cell against its published equations, written in plain numpy, in double precision, step by step.

Every function takes one layer's parameters and a sequence x of T steps, and returns the T outputs; states start from
zero. Blocks of rows are split in the gate order of the cell's docstring.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.special import erf
from torch import Tensor

from farback import cells, inits
from farback.networks.network import Architecture, Network, draw

P = dict[str, np.ndarray]
Outputs = Iterator[np.ndarray]


def sigma(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def rows(p: P, name: str, count: int) -> list[np.ndarray]:
    return np.split(p[name], count)


def modrelu(v: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Arjovsky et al. 2016: (|v| + b) v / |v| where |v| + b >= 0, else 0."""
    return np.array([(abs(a) + c) * a / abs(a) if abs(a) + c >= 0 else 0.0 for a, c in zip(v, b, strict=True)])


def elman(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[P, np.ndarray], Outputs]:
    def outputs(p: P, x: np.ndarray) -> Outputs:
        h = np.zeros(len(p["bias_ih"]))
        for u in x:
            h = f(p["weight_ih"] @ u + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"])
            yield h

    return outputs


def elman_modrelu(p: P, x: np.ndarray) -> Outputs:
    return elman(lambda v: modrelu(v, p["offset"]))(p, x)


def janet(p: P, x: np.ndarray, beta: float = 1.0) -> Outputs:
    (W_f, W_c), (U_f, U_c) = rows(p, "weight_ih", 2), rows(p, "weight_hh", 2)
    b_f, b_c = np.split(p["bias_ih"] + p["bias_hh"], 2)
    c = np.zeros(len(b_f))
    for u in x:
        s = U_f @ c + W_f @ u + b_f
        c_new = np.tanh(U_c @ c + W_c @ u + b_c)
        c = sigma(s) * c + (1 - sigma(s - beta)) * c_new
        yield c


def mgu(p: P, x: np.ndarray) -> Outputs:
    (W_f, W_h), (U_f, U_h) = rows(p, "weight_ih", 2), rows(p, "weight_hh", 2)
    b_f, b_h = np.split(p["bias_ih"] + p["bias_hh"], 2)
    h = np.zeros(len(b_f))
    for u in x:
        f = sigma(U_f @ h + W_f @ u + b_f)
        h_new = np.tanh(U_h @ (f * h) + W_h @ u + b_h)
        h = (1 - f) * h + f * h_new
        yield h


def ugrnn(p: P, x: np.ndarray) -> Outputs:
    (W_g, W_c), (U_g, U_c) = rows(p, "weight_ih", 2), rows(p, "weight_hh", 2)
    b_g, b_c = np.split(p["bias_ih"] + p["bias_hh"], 2)
    h = np.zeros(len(b_g))
    for u in x:
        c = np.tanh(U_c @ h + W_c @ u + b_c)
        g = sigma(U_g @ h + W_g @ u + b_g)
        h = g * h + (1 - g) * c
        yield h


def indrnn(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[P, np.ndarray], Outputs]:
    def outputs(p: P, x: np.ndarray) -> Outputs:
        h = np.zeros(len(p["u"]))
        for u in x:
            h = f(p["weight_ih"] @ u + p["u"] * h + p["bias_ih"])
            yield h

    return outputs


def positive(v: np.ndarray) -> np.ndarray:
    return np.array([a + 0.5 if a >= 0 else 1 / (1 + math.exp(-a)) for a in v])


def mingru(p: P, x: np.ndarray) -> Outputs:
    (W_z, W_h), (b_z, b_h) = rows(p, "weight_ih", 2), rows(p, "bias_ih", 2)
    h = np.zeros(len(b_z))
    for u in x:
        z = sigma(W_z @ u + b_z)
        h = (1 - z) * h + z * positive(W_h @ u + b_h)
        yield h


def minlstm(p: P, x: np.ndarray) -> Outputs:
    (W_f, W_i, W_h), (b_f, b_i, b_h) = rows(p, "weight_ih", 3), rows(p, "bias_ih", 3)
    h = np.zeros(len(b_f))
    for u in x:
        f, i = sigma(W_f @ u + b_f), sigma(W_i @ u + b_i)
        h = f / (f + i) * h + i / (f + i) * positive(W_h @ u + b_h)
        yield h


def lru(p: P, x: np.ndarray) -> Outputs:
    B_re, B_im, D = rows(p, "weight_ih", 3)
    B, C = B_re + 1j * B_im, p["weight_re"] + 1j * p["weight_im"]
    Lambda = np.diag(np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"])))
    h = np.zeros(len(Lambda), dtype=complex)
    for u in x:
        h = Lambda @ h + np.exp(p["gamma"]) * (B @ u)
        yield (C @ h).real + D @ u


def slstm(p: P, x: np.ndarray) -> Outputs:
    """Without the stabiliser, which must not change anything: i = exp, f = sigmoid."""
    (W_i, W_f, W_z, W_o), (R_i, R_f, R_z, R_o) = rows(p, "weight_ih", 4), rows(p, "weight_hh", 4)
    b_i, b_f, b_z, b_o = np.split(p["bias_ih"] + p["bias_hh"], 4)
    h = c = n = np.zeros(len(b_i))
    for u in x:
        z = np.tanh(W_z @ u + R_z @ h + b_z)
        i = np.exp(W_i @ u + R_i @ h + b_i)
        f = sigma(W_f @ u + R_f @ h + b_f)
        o = sigma(W_o @ u + R_o @ h + b_o)
        c, n = f * c + i * z, f * n + i
        h = o * (c / n)
        yield h


def cornn(p: P, x: np.ndarray, dt: float = 0.042, gamma: float = 2.7, epsilon: float = 4.7) -> Outputs:
    y = z = np.zeros(len(p["bias_ih"]))
    for u in x:
        force = np.tanh(p["weight_hh"] @ y + p["weight_zh"] @ z + p["weight_ih"] @ u + p["bias_ih"])
        z = z + dt * force - dt * gamma * y - dt * epsilon * z
        y = y + dt * z
        yield y


def lem(p: P, x: np.ndarray, dt: float = 1.0) -> Outputs:
    (V_1, V_2, V_z, V_y), (W_1, W_2, W_z) = rows(p, "weight_ih", 4), rows(p, "weight_hh", 3)
    b_1, b_2, b_z, b_y = rows(p, "bias_ih", 4)
    y = z = np.zeros(len(b_1))
    for u in x:
        step = dt * sigma(W_1 @ y + V_1 @ u + b_1)
        step_bar = dt * sigma(W_2 @ y + V_2 @ u + b_2)
        z = (1 - step) * z + step * np.tanh(W_z @ y + V_z @ u + b_z)
        y = (1 - step_bar) * y + step_bar * np.tanh(p["weight_zy"] @ z + V_y @ u + b_y)
        yield y


def upper(p: P) -> np.ndarray:
    """The strictly upper triangular matrix with these entries, row by row."""
    H, entries = len(p["bias_ih"]), iter(p["skew"])
    return np.array([[next(entries) if j > i else 0.0 for j in range(H)] for i in range(H)])


def antisymmetric(p: P, x: np.ndarray, epsilon: float = 0.1, gamma: float = 0.01) -> Outputs:
    W = upper(p)
    h = np.zeros(len(W))
    for u in x:
        h = h + epsilon * np.tanh((W - W.T - gamma * np.eye(len(W))) @ h + p["weight_ih"] @ u + p["bias_ih"])
        yield h


def exprnn(p: P, x: np.ndarray) -> Outputs:
    B = scipy.linalg.expm(upper(p) - upper(p).T)
    h = np.zeros(len(B))
    for u in x:
        h = modrelu(B @ h + p["weight_ih"] @ u + p["bias_ih"], p["offset"])
        yield h


def brc(p: P, x: np.ndarray) -> Outputs:
    (U_c, U_a, U), (b_c, b_a, b) = rows(p, "weight_ih", 3), rows(p, "bias_ih", 3)
    h = np.zeros(len(b))
    for u in x:
        a = 1 + np.tanh(U_a @ u + b_a + p["w_a"] * h)
        c = sigma(U_c @ u + b_c + p["w_c"] * h)
        h = c * h + (1 - c) * np.tanh(U @ u + b + a * h)
        yield h


def nbrc(p: P, x: np.ndarray) -> Outputs:
    (U_c, U_a, U), (b_c, b_a, b) = rows(p, "weight_ih", 3), rows(p, "bias_ih", 3)
    W_c, W_a = rows(p, "weight_hh", 2)
    h = np.zeros(len(b))
    for u in x:
        a = 1 + np.tanh(U_a @ u + b_a + W_a @ h)
        c = sigma(U_c @ u + b_c + W_c @ h)
        h = c * h + (1 - c) * np.tanh(U @ u + b + a * h)
        yield h


def echo_state(p: P, x: np.ndarray, leak: float = 1.0) -> Outputs:
    h = np.zeros(len(p["bias_ih"]))
    for u in x:
        h = (1 - leak) * h + leak * np.tanh(p["weight_ih"] @ u + p["bias_ih"] + p["weight_hh"] @ h)
        yield h


NONLINEARITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0),
    "sigmoid": sigma,
    "identity": lambda v: v,
    "leaky_relu": lambda v: np.where(v > 0, v, 0.01 * v),
    "gelu": lambda v: v * (1 + erf(v / math.sqrt(2))) / 2,
    "softsign": lambda v: v / (1 + np.abs(v)),
    "sin": np.sin,
}
EQUATIONS: list[tuple[dict[str, Any], Callable[..., Outputs]]] = [
    *[({"name": "elman", "nonlinearity": name}, elman(f)) for name, f in NONLINEARITIES.items()],
    ({"name": "elman", "nonlinearity": "modrelu"}, elman_modrelu),
    ({"name": "janet"}, janet),
    ({"name": "janet", "beta": 0.3}, janet),
    ({"name": "mgu"}, mgu),
    ({"name": "ugrnn"}, ugrnn),
    *[({"name": "indrnn", "nonlinearity": name}, indrnn(NONLINEARITIES[name])) for name in ("relu", "tanh")],
    ({"name": "mingru"}, mingru),
    ({"name": "minlstm"}, minlstm),
    ({"name": "lru"}, lru),
    ({"name": "slstm"}, slstm),
    ({"name": "cornn"}, cornn),
    ({"name": "cornn", "dt": 0.3, "gamma": 1.5, "epsilon": 0.7}, cornn),
    ({"name": "lem"}, lem),
    ({"name": "lem", "dt": 0.4}, lem),
    ({"name": "antisymmetric"}, antisymmetric),
    ({"name": "antisymmetric", "epsilon": 0.5, "gamma": 0.2}, antisymmetric),
    ({"name": "exprnn"}, exprnn),
    ({"name": "brc"}, brc),
    ({"name": "nbrc"}, nbrc),
    ({"name": "echo_state"}, echo_state),
    ({"name": "echo_state", "leak": 0.3}, echo_state),
]


def network_of(spec: dict[str, Any], hidden: int, inputs: int) -> Network:
    """One layer, one replica, in double precision, with noise on every parameter."""
    network = draw(Architecture(cells.build(spec), inputs, hidden, 0), [inits.build("torch")], [0], 5, torch.float64)
    generator = torch.Generator().manual_seed(hidden)

    def noisy(value: Tensor) -> Tensor:
        return value + 0.5 * torch.randn(value.shape, generator=generator, dtype=torch.float64)

    return Network(network.architecture, {name: noisy(value) for name, value in network.parameters.items()})


@pytest.mark.parametrize(("hidden", "inputs"), [(1, 2), (17, 1)])
@pytest.mark.parametrize(("spec", "equations"), EQUATIONS, ids=[cells.build(spec).label() for spec, _ in EQUATIONS])
def test_a_cell_computes_its_published_equations(
    spec: dict[str, Any], equations: Callable[..., Outputs], hidden: int, inputs: int
) -> None:
    network = network_of(spec, hidden, inputs)
    p = {name.removesuffix("_l0"): value[0].numpy() for name, value in network.parameters.items()}
    numbers = {name: value for name, value in spec.items() if isinstance(value, float)}
    for steps in (1, 2, 7):
        x = np.random.default_rng(steps).standard_normal((steps, inputs))
        expected = np.array(list(equations(p, x, **numbers)))
        computed = network.run(torch.from_numpy(x).view(1, steps, 1, inputs))[0][0, :, 0].numpy()
        assert computed == pytest.approx(expected, rel=1e-9, abs=1e-12)
