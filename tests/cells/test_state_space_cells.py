"""State spaces, oscillators and other cells with state of their own: published equations in plain numpy, closed forms.

Every function takes one layer's parameters and a sequence x of T steps, and returns the T outputs; states start from
zero. Matrices and modes are written out, one state entry after another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from farback import cells, inits
from farback.kernels import modes, oscillator, selective
from farback.networks.network import Architecture, Network, draw

P = dict[str, np.ndarray]
Outputs = Iterator[np.ndarray]


def sigma(v: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-v)))


def softplus(v: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(1 + np.exp(v)))


def rg_lru(p: P, x: np.ndarray) -> Outputs:
    (W_a, W_x), (b_a, b_x) = np.split(p["weight_gates"], 2), np.split(p["bias_gates"], 2)
    h = np.zeros(len(p["decay"]))
    for u in x:
        v = p["weight_ih"] @ u + p["bias_ih"]
        a = sigma(-p["decay"]) ** (
            8 * sigma(W_a @ v + b_a)
        )  # a = Lambda'^(c r), Lambda' = sigmoid of minus the parameter
        h = a * h + np.sqrt(1 - a**2) * (sigma(W_x @ v + b_x) * v)
        yield h


def s4d(p: P, x: np.ndarray) -> Outputs:
    N, H = p["decay"].shape
    state = np.zeros((H, N), complex)
    for u in x:
        v, y = p["weight_ih"] @ u + p["bias_ih"], np.zeros(H)
        for h in range(H):
            A = np.diag(-np.exp(p["decay"][:, h]) + 1j * p["frequency"][:, h])
            A_bar = np.diag(np.exp(np.exp(p["log_step"][h]) * np.diag(A)))
            B_bar = np.linalg.inv(A) @ (A_bar - np.eye(N)) @ np.ones(N)
            state[h] = A_bar @ state[h] + B_bar * v[h]
            y[h] = 2 * ((p["c_re"][:, h] + 1j * p["c_im"][:, h]) @ state[h]).real + p["skip"][h] * v[h]
        yield y


def mamba(p: P, x: np.ndarray) -> Outputs:
    N, H = p["log_a"].shape
    A = -np.exp(p["log_a"])
    h = np.zeros((N, H))
    for u in x:
        v = p["weight_ih"] @ u + p["bias_ih"]
        s, B, C = np.split(p["weight_v"] @ v, [p["step_weight"].shape[1], p["step_weight"].shape[1] + N])
        dt = softplus(p["step_weight"] @ s + p["step_bias"])
        y = p["skip"] * v
        for n in range(N):
            h[n] = np.exp(dt * A[n]) * h[n] + dt * B[n] * v
            y = y + C[n] * h[n]
        yield y


def s5(p: P, x: np.ndarray) -> Outputs:
    B_re, B_im, D = np.split(p["weight_ih"], 3)
    B, C = B_re + 1j * B_im, p["weight_re"] + 1j * p["weight_im"]
    A = np.diag(p["lambda_re"] + 1j * p["lambda_im"])
    A_bar = np.diag(np.exp(np.exp(p["log_step"]) * np.diag(A)))
    B_bar = np.linalg.inv(A) @ (A_bar - np.eye(len(A))) @ B
    h = np.zeros(len(A), complex)
    for u in x:
        h = A_bar @ h + B_bar @ u
        yield 2 * (C @ h).real + D @ u


def oscillators(p: P, x: np.ndarray, A: np.ndarray, G: np.ndarray) -> Outputs:
    """Both equations of one step, solved as a linear system for the new z and x."""
    B_re, B_im, D = np.split(p["weight_ih"], 3)
    B, C = B_re + 1j * B_im, p["weight_re"] + 1j * p["weight_im"]
    dt = sigma(p["step"])
    state = np.zeros((len(A), 2), complex)
    for u in x:
        for i, force in enumerate(B @ u):
            left = np.array([[1 + dt[i] * G[i], 0], [-dt[i], 1]])
            right = np.array([[1, -dt[i] * A[i]], [0, 1]]) @ state[i] + np.array([dt[i] * force, 0])
            state[i] = np.linalg.solve(left, right)
        yield (C @ state[:, 1]).real + D @ u


def linoss(p: P, x: np.ndarray) -> Outputs:
    return oscillators(p, x, np.maximum(p["stiffness"], 0), np.zeros_like(p["step"]))


def linoss_im(p: P, x: np.ndarray) -> Outputs:
    """Both equations with the new z and x on the right, solved as a linear system."""
    B_re, B_im, D = np.split(p["weight_ih"], 3)
    B, C = B_re + 1j * B_im, p["weight_re"] + 1j * p["weight_im"]
    A, dt = np.maximum(p["stiffness"], 0), sigma(p["step"])
    state = np.zeros((len(A), 2), complex)
    for u in x:
        for i, force in enumerate(B @ u):
            left = np.array([[1, dt[i] * A[i]], [-dt[i], 1]])
            state[i] = np.linalg.solve(left, state[i] + np.array([dt[i] * force, 0]))
        yield (C @ state[:, 1]).real + D @ u


def d_linoss(p: P, x: np.ndarray) -> Outputs:
    dt, G = sigma(p["step"]), np.maximum(p["damping"], 0)
    root = np.sqrt(1 + dt * G)
    A = np.clip(p["stiffness"], (root - 1) ** 2 / dt**2, (root + 1) ** 2 / dt**2)
    return oscillators(p, x, A, G)


def cfc(p: P, x: np.ndarray, elapsed: float = 1.0) -> Outputs:
    h = np.zeros(p["weight_state"].shape[1])
    for u in x:
        joint = np.hstack([p["weight_ih"], p["weight_state"]]) @ np.concatenate([u, h]) + p["bias_ih"]
        backbone = 1.7159 * np.tanh(0.666 * joint)
        f, g, a, b = np.split(p["weight_heads"] @ backbone + p["bias_heads"], 4)
        share = sigma(a * elapsed + b)
        h = np.tanh(f) * (1 - share) + share * np.tanh(g)
        yield h


def m2rnn(p: P, x: np.ndarray, heads: int = 1, key: int = 16) -> Outputs:
    H = len(p["weight_hh"])
    W = np.split(p["weight_hh"], heads)
    S = np.zeros((heads, key, H // heads))
    for u in x:
        gates = p["weight_ih"] @ u + p["bias_ih"]
        q, k, v, f = np.split(gates, np.cumsum([key * heads, key * heads, H]))
        y = []
        for i in range(heads):
            q_i, k_i, v_i = (np.split(part, heads)[i] for part in (q, k, v))
            S[i] = sigma(f[i]) * S[i] + (1 - sigma(f[i])) * np.tanh(S[i] @ W[i].T + np.outer(k_i, v_i))
            y.append(q_i @ S[i])
        yield np.concatenate(y)


def bmru(p: P, x: np.ndarray) -> Outputs:
    h = np.zeros(len(p["alpha"]))
    for u in x:
        for i, c in enumerate(p["weight_ih"] @ u + p["bias_ih"]):
            if abs(c) > abs(p["beta"][i]):
                h[i] = math.copysign(p["alpha"][i], c * p["alpha"][i])
        yield h.copy()


EQUATIONS: list[tuple[dict[str, Any], Callable[..., Outputs]]] = [
    ({"name": "rg_lru"}, rg_lru),
    ({"name": "s4d"}, s4d),
    ({"name": "s4d", "modes": 3}, s4d),
    ({"name": "mamba"}, mamba),
    ({"name": "mamba", "modes": 5}, mamba),
    ({"name": "s5"}, s5),
    ({"name": "linoss"}, linoss),
    ({"name": "linoss", "implicit": True}, linoss_im),
    ({"name": "d_linoss"}, d_linoss),
    ({"name": "cfc"}, cfc),
    ({"name": "cfc", "units": 5, "elapsed": 0.3}, cfc),
    ({"name": "m2rnn"}, m2rnn),
    ({"name": "m2rnn", "heads": 3, "key": 2}, m2rnn),
    ({"name": "bmru"}, bmru),
]


def network_of(spec: dict[str, Any], hidden: int, inputs: int, noise: float = 0.5) -> Network:
    """One layer, one replica, in double precision, with noise on every parameter."""
    network = draw(Architecture(cells.build(spec), inputs, hidden, 0), [inits.build("torch")], [0], 5, torch.float64)
    generator = torch.Generator().manual_seed(hidden)
    noisy = {
        name: value + noise * torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for name, value in network.parameters.items()
    }
    return Network(network.architecture, noisy)


def values(network: Network) -> P:
    return {name.removesuffix("_l0"): value[0].numpy() for name, value in network.parameters.items()}


def outputs_of(network: Network, x: np.ndarray) -> np.ndarray:
    return np.asarray(network.run(torch.from_numpy(x).view(1, len(x), 1, -1))[0][0, :, 0])


@pytest.mark.parametrize(("spec", "equations"), EQUATIONS, ids=[cells.build(spec).label() for spec, _ in EQUATIONS])
def test_a_cell_computes_its_published_equations_with_its_own_state(
    spec: dict[str, Any], equations: Callable[..., Outputs]
) -> None:
    network = network_of(spec, hidden=9, inputs=2)
    numbers = {name: value for name, value in spec.items() if name in ("elapsed", "heads", "key")}
    x = np.random.default_rng(7).standard_normal((7, 2))
    expected = np.array(list(equations(values(network), x, **numbers)))
    assert outputs_of(network, x) == pytest.approx(expected, rel=1e-9, abs=1e-12)


# Kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [modes, selective, oscillator], ids=lambda module: module.__name__.split(".")[-1])
def test_gradients_of_a_kernel_with_coefficients_inside_are_derivatives(module: Any) -> None:
    R, T, B, N, H = 2, 3, 2, 2, 3
    shapes = {
        modes: [(R, T, B, H), *[(R, N, H)] * 6, *[(R, B, N, H)] * 2],
        selective: [(R, T, B, H), (R, T, B, H), (R, T, B, N), (R, T, B, N), (R, N, H), (R, B, N, H)],
        oscillator: [*[(R, H)] * 3, (R, T, B, N, H), *[(R, B, N, H)] * 2],
    }[module]
    generator = torch.Generator().manual_seed(0)
    arguments = [torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in shapes]
    assert torch.autograd.gradcheck(module.scan, arguments, fast_mode=True)
    with pytest.raises(ValueError, match="is needed"):
        module.scan(*arguments[:-1], arguments[-1][..., :1])


# Closed forms ----------------------------------------------------------------------------------------------------


def impulse_response(network: Network, steps: int) -> np.ndarray:
    x = np.zeros((steps, network.architecture.inputs))
    x[0] = 1
    return outputs_of(network, x)


def test_the_impulse_response_of_an_s4d_is_a_sum_of_exponentials() -> None:
    network = network_of({"name": "s4d", "modes": 4}, hidden=3, inputs=1, noise=0.0)
    network.parameters["bias_ih_l0"].zero_()
    p, k = values(network), np.arange(60)[:, None]
    v, dt = p["weight_ih"][:, 0], np.exp(p["log_step"])
    expected = np.where(k == 0, p["skip"] * v, 0.0)
    for n in range(4):
        rate = -0.5 + 1j * math.pi * n
        weight = (p["c_re"][n] + 1j * p["c_im"][n]) * (np.exp(dt * rate) - 1) / rate
        expected = expected + 2 * (weight * np.exp(dt * rate * k)).real * v
    assert impulse_response(network, 60) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_linoss_keeps_its_energy_for_ten_thousand_steps() -> None:
    """The step conserves A x^2 + z^2 - dt A x z exactly, the energy of a symplectic step."""
    network = network_of({"name": "linoss"}, hidden=6, inputs=1, noise=0.0)
    p = values(network)
    A, dt = np.tile(p["stiffness"], 2), np.tile(sigma(p["step"]), 2)

    def energy(state: tuple[torch.Tensor, ...]) -> np.ndarray:
        z, x = (part[0, 0].numpy() for part in state)
        return np.asarray(A * x**2 + z**2 - dt * A * x * z)

    start = network.run(torch.ones(1, 1, 1, 1, dtype=torch.float64))[1]
    end = network.run(torch.zeros(1, 10_000, 1, 1, dtype=torch.float64), start)[1]
    assert energy(end[0]) == pytest.approx(energy(start[0]), rel=1e-9)


def test_the_eigenvalues_of_a_d_linoss_start_on_the_ring_and_stay_in_the_unit_circle() -> None:
    cell = cells.build({"name": "d_linoss", "inner": 0.6, "outer": 0.9})
    drawn = cell.special(1000, 5, np.random.default_rng(0))
    for noise in (0.0, 3.0):
        rng = np.random.default_rng(1)
        p = {name: torch.from_numpy(value + noise * rng.standard_normal(1000))[None] for name, value in drawn.items()}
        A, G, dt = (part[0].numpy() for part in cell.constants(p))  # type: ignore[attr-defined]
        scale = 1 / (1 + dt * G)
        step = np.array([[scale, -dt * A * scale], [dt * scale, 1 - dt * dt * A * scale]]).transpose(2, 0, 1)
        eigenvalues = np.linalg.eigvals(step)
        assert np.abs(eigenvalues).max() <= 1 + 1e-6
    step_of_draw = np.exp(-np.logaddexp(0, -drawn["step"])) * drawn["damping"]
    assert stats.kstest(1 / (1 + step_of_draw), stats.uniform(0.6**2, 0.9**2 - 0.6**2).cdf).pvalue > 1e-3


def test_a_bmru_holds_a_bit_for_a_hundred_thousand_steps() -> None:
    network = network_of({"name": "bmru"}, hidden=4, inputs=1, noise=0.0)
    network.parameters["weight_ih_l0"][0, :, 0] = torch.tensor([2.0, -2.0, 2.0, -2.0])
    network.parameters["bias_ih_l0"].zero_()
    network.parameters["beta_l0"].fill_(1)
    x = 0.4 * np.random.default_rng(0).uniform(-1, 1, size=(100_001, 1))  # below the threshold of 1 after weights of 2
    x[0] = 1
    assert set(map(tuple, outputs_of(network, x))) == {(1.0, -1.0, 1.0, -1.0)}


def test_state_spaces_start_as_published() -> None:
    """|a| of the RG-LRU at r = 1/8 in [0.9, 0.999]; time steps log-uniform; A of Mamba; HiPPO's eigenvalues."""

    def own(spec: Any, hidden: int = 2000) -> P:
        return cells.build(spec).special(hidden, 20, np.random.default_rng(0))

    square = sigma(-own("rg_lru")["decay"]) ** 2
    assert stats.kstest(square, stats.uniform(0.9**2, 0.999**2 - 0.9**2).cdf).pvalue > 1e-3
    steps = [own({"name": "s4d", "modes": 1})["log_step"], np.log(softplus(own("mamba")["step_bias"]))]
    steps.append(own("s5", 400)["log_step"])
    for log_step in steps:
        assert stats.kstest(log_step, stats.uniform(math.log(1e-3), math.log(100)).cdf).pvalue > 1e-3
    assert -np.exp(own({"name": "mamba", "modes": 3}, 2)["log_a"]) == pytest.approx(
        np.array([[-1, -1], [-2, -2], [-3, -3]])
    )
    hippo = np.array(
        [[-math.sqrt((2 * i + 1) * (2 * j + 1)) * (i > j) - (i + 1) * (i == j) for j in range(8)] for i in range(8)]
    )
    root = np.sqrt(np.arange(8) + 0.5)
    normal = np.linalg.eigvals(hippo + np.outer(root, root))
    drawn = own("s5", 4)
    mine = drawn["lambda_re"] + 1j * drawn["lambda_im"]
    assert sorted(mine.imag) == pytest.approx(sorted(normal[normal.imag > 0].imag))
    assert mine.real == pytest.approx(normal.real[:4])


@pytest.mark.parametrize(("spec", "numbers"), [("s4d", 2 * 32), ("mamba", 16), ("s5", 2), ("linoss", 4), ("m2rnn", 16)])
def test_the_state_counts_every_number(spec: str, numbers: int) -> None:
    """Numbers for each unit; a complex one counts as two."""
    assert Architecture(cells.build(spec), 3, 7, 2).state_count == 7 * numbers
