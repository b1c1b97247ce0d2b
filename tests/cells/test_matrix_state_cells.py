"""Cells with a matrix state: the published equations in plain numpy, heads, packing, and what eigenvalues allow.

Every function of `EQUATIONS` takes the parameters of one layer, a sequence x of T steps and the number of heads, and
returns the T outputs. It states the equations of the publication, one head and one step after the other, in double
precision and without the kernel's form of a transition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farback import cells, inits
from farback.cells.support.matrix_state import MatrixStateCell
from farback.networks.network import Architecture, Network, draw

P = dict[str, np.ndarray]
Outputs = Iterator[np.ndarray]


def sigma(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def swish(v: np.ndarray) -> np.ndarray:
    return v * sigma(v)


def normal(v: np.ndarray) -> np.ndarray:
    return v / np.sqrt(v @ v + 1e-6)


def parts(p: P, count: int, heads: int, head: int) -> list[np.ndarray]:
    """The rows of one head in each of `count` blocks of `weight_ih`."""
    return [np.split(block, heads)[head] for block in np.split(p["weight_ih"], count)]


def by_head(one_head: Callable[..., Outputs]) -> Callable[..., np.ndarray]:
    """The outputs of all heads side by side, (T, H)."""

    def outputs(p: P, x: np.ndarray, heads: int, **fields: Any) -> np.ndarray:
        return np.concatenate([np.array(list(one_head(p, x, heads, n, **fields))) for n in range(heads)], 1)

    return outputs


@by_head
def deltanet(p: P, x: np.ndarray, heads: int, n: int, negative_eigenvalues: bool = False) -> Outputs:
    """The paper's form: the value that k retrieves is replaced by a mix of it and of the new one."""
    W_q, W_k, W_v = parts(p, 3, heads, n)
    S = np.zeros((len(W_v), len(W_k)))  # the paper's state is V x K
    for u in x:
        q, k, v = normal(swish(W_q @ u)), normal(swish(W_k @ u)), swish(W_v @ u)
        beta = sigma(p["weight_beta"][n] @ u) * (2 if negative_eigenvalues else 1)
        old = S @ k
        new = beta * v + (1 - beta) * old
        S = S - np.outer(old, k) + np.outer(new, k)
        yield S @ q / np.sqrt(len(q))


@by_head
def gated_deltanet(p: P, x: np.ndarray, heads: int, n: int, negative_eigenvalues: bool = False) -> Outputs:
    W_q, W_k, W_v = parts(p, 3, heads, n)
    S = np.zeros((len(W_v), len(W_k)))
    for u in x:
        q, k, v = normal(swish(W_q @ u)), normal(swish(W_k @ u)), swish(W_v @ u)
        beta = sigma(p["weight_beta"][n] @ u) * (2 if negative_eigenvalues else 1)
        dt = np.log1p(np.exp(p["weight_alpha"][n] @ u + p["dt_bias"][n]))
        alpha = np.exp(-np.exp(p["A_log"][n]) * dt)
        S = S @ (alpha * (np.eye(len(k)) - beta * np.outer(k, k))) + beta * np.outer(v, k)
        yield S @ q / np.sqrt(len(q))


@by_head
def mamba2(p: P, x: np.ndarray, heads: int, n: int) -> Outputs:
    (W_u,), (W_B, W_C) = parts(p, 1, heads, n), np.split(p["weight_bc"], 2)
    h = np.zeros((len(W_u), len(W_B)))
    for u in x:
        X, B, C = swish(W_u @ u), swish(W_B @ u), swish(W_C @ u)
        dt = np.log1p(np.exp(p["weight_dt"][n] @ u + p["dt_bias"][n]))
        h = np.exp(-dt * np.exp(p["A_log"][n])) * h + dt * np.outer(X, B)
        yield h @ C + p["D"][n] * X


@by_head
def gla(p: P, x: np.ndarray, heads: int, n: int) -> Outputs:
    W_q, W_k, W_v = parts(p, 3, heads, n)
    S = np.zeros((len(W_k), len(W_v)))
    for u in x:
        alpha = sigma(p["weight_decay"] @ (p["weight_low"] @ u) + p["bias_decay"]) ** (1 / 16)
        S = np.diag(np.split(alpha, heads)[n]) @ S + np.outer(W_k @ u, W_v @ u)
        yield S.T @ (W_q @ u) / np.sqrt(len(W_q))


@by_head
def hgrn2(p: P, x: np.ndarray, heads: int, n: int, lower_bound: float = 0.0) -> Outputs:
    W_q, W_f, W_i = parts(p, 3, heads, n)
    S = np.zeros((len(W_f), len(W_i)))
    for u in x:
        f = lower_bound + (1 - lower_bound) * sigma(W_f @ u)
        S = np.diag(f) @ S + np.outer(1 - f, W_i @ u)
        yield S.T @ swish(W_q @ u) / np.sqrt(len(f))


@by_head
def retnet(p: P, x: np.ndarray, heads: int, n: int) -> Outputs:
    """The parallel form: each output is a sum over all earlier steps, with keys and queries rotated by position."""
    W_q, W_k, W_v = parts(p, 3, heads, n)
    K = len(W_q)
    turns = np.exp(1j * 10000.0 ** (-2 * np.arange(K // 2) / K))

    def rotated(v: np.ndarray, t: int) -> np.ndarray:
        pairs = (v[: K // 2] + 1j * v[K // 2 : K // 2 * 2]) * turns**t
        return np.concatenate([pairs.real, pairs.imag, v[K // 2 * 2 :]])

    gamma = 1 - 2.0 ** (-5 - n)
    for t, u in enumerate(x):
        scores = [gamma ** (t - s) * rotated(W_q @ u, t) @ rotated(W_k @ x[s], s) for s in range(t + 1)]
        yield sum(score * (W_v @ x[s]) for s, score in enumerate(scores)) / np.sqrt(K)


@by_head
def mlstm(p: P, x: np.ndarray, heads: int, n: int) -> Outputs:
    """Without the stabiliser, which must not change anything: i = exp, f = sigmoid."""
    W_q, W_k, W_v, W_o = parts(p, 4, heads, n)
    b_q, b_k, b_v, b_o = (np.split(block, heads)[n] for block in np.split(p["bias_ih"], 4))
    C, memory = np.zeros((len(W_v), len(W_k))), np.zeros(len(W_k))
    for u in x:
        q, k, v = W_q @ u + b_q, (W_k @ u + b_k) / np.sqrt(len(W_k)), W_v @ u + b_v
        i, f = np.exp(p["weight_if"][n] @ u + p["b_i"][n]), sigma(p["weight_if"][heads + n] @ u + p["b_f"][n])
        C, memory = f * C + i * np.outer(v, k), f * memory + i * k
        yield sigma(W_o @ u + b_o) * (C @ q / max(abs(memory @ q), 1))


@by_head
def rwkv7(p: P, x: np.ndarray, heads: int, n: int) -> Outputs:
    W_r, W_k, W_v = parts(p, 3, heads, n)
    w0, a0, k_k, k_a, r_k = (np.split(p[name], heads)[n] for name in ("w0", "a0", "k_k", "k_a", "r_k"))
    W_2, A_2 = np.split(p["weight_w2"], heads)[n], np.split(p["weight_a2"], heads)[n]
    S = np.zeros((len(W_v), len(W_k)))  # the paper's state is V x K
    for t, u in enumerate(x):
        last = x[t - 1] if t else np.zeros(len(u))
        x_r, x_k, x_v, x_w, x_a = ((1 - p[m]) * u + p[m] * last for m in ("x_r", "x_k", "x_v", "x_w", "x_a"))
        r, k, v = W_r @ x_r, W_k @ x_k, W_v @ x_v
        w = np.exp(-np.exp(-0.5) * sigma(w0 + W_2 @ np.tanh(p["weight_w1"] @ x_w)))
        a = sigma(a0 + A_2 @ (p["weight_a1"] @ x_a))
        kappa = normal(k_k * k)
        k = k * (1 + (a - 1) * k_a)
        S = S @ (np.diag(w) - np.outer(kappa, a * kappa)) + np.outer(v, k)
        yield S @ r + (r * r_k) @ k * v


EQUATIONS: list[tuple[dict[str, Any], Callable[..., np.ndarray]]] = [
    ({"name": "deltanet"}, deltanet),
    ({"name": "deltanet", "negative_eigenvalues": True}, deltanet),
    ({"name": "gated_deltanet"}, gated_deltanet),
    ({"name": "gated_deltanet", "negative_eigenvalues": True}, gated_deltanet),
    ({"name": "mamba2", "state": 3}, mamba2),
    ({"name": "mlstm"}, mlstm),
    ({"name": "retnet"}, retnet),
    ({"name": "rwkv7"}, rwkv7),
    ({"name": "gla"}, gla),
    ({"name": "hgrn2"}, hgrn2),
    ({"name": "hgrn2", "lower_bound": 0.4}, hgrn2),
]
NAMES = sorted({spec["name"] for spec, _ in EQUATIONS})


def network_of(
    spec: dict[str, Any], hidden: int, inputs: int, replicas: int = 1, dtype: Any = torch.float64
) -> Network:
    """Replicas of one layer, with noise on every parameter."""
    architecture = Architecture(cells.build(spec), inputs, hidden, 0)
    network = draw(architecture, [inits.build("torch")] * replicas, range(replicas), 5, dtype)
    generator = torch.Generator().manual_seed(hidden)

    def noisy(value: Tensor) -> Tensor:
        return value + 0.5 * torch.randn(value.shape, generator=generator, dtype=dtype)

    parameters = {name: noisy(value).requires_grad_() for name, value in network.parameters.items()}
    return replace(network, parameters=parameters)


def test_every_cell_with_a_matrix_state_has_its_equations_here() -> None:
    shipped = [name for name in cells.names() if issubclass(cells.FAMILY.plugin(name), MatrixStateCell)]
    assert shipped == NAMES


@pytest.mark.parametrize(("spec", "equations"), EQUATIONS, ids=[str(list(spec.values())) for spec, _ in EQUATIONS])
def test_a_cell_with_several_heads_computes_its_published_equations(
    spec: dict[str, Any], equations: Callable[..., np.ndarray]
) -> None:
    fields = {name: value for name, value in spec.items() if name not in ("name", "state")}
    for heads, hidden, steps in ((1, 1, 3), (1, 7, 12), (3, 12, 5)):
        network = network_of({**spec, "heads": heads}, hidden, 2)
        p = {name.removesuffix("_l0"): value[0].detach().numpy() for name, value in network.parameters.items()}
        x = np.random.default_rng(steps).standard_normal((steps, 2))
        computed = network.run(torch.from_numpy(x).view(1, steps, 1, 2))[0][0, :, 0].detach().numpy()
        assert computed == pytest.approx(equations(p, x, heads, **fields), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_with_several_heads_packed_equals_alone_and_a_split_equals_the_whole(name: str) -> None:
    """The laws of all cells have one head."""
    network = network_of({"name": name, "heads": 2}, 6, 3, replicas=3, dtype=torch.float32)
    x = torch.randn(3, 11, 4, 3, generator=torch.Generator().manual_seed(1))

    def outcome(network: Network, x: Tensor) -> list[Tensor]:
        outputs, (state,) = network.run(x)
        return [outputs, *state, *torch.autograd.grad(outputs.sin().sum(), list(network.parameters.values()))]

    packed = outcome(network, x)
    for a, b in zip(outcome(network.replica(1), x[1:2]), packed, strict=True):
        assert torch.equal(a, b[1:2])
    first, carried = network.run(x[:, :4])
    second, last = network.run(x[:, 4:], carried)
    torch.testing.assert_close(torch.cat([first, second], 1), packed[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(list(last[0]), packed[1 : 1 + len(last[0])], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gla", "attention", "m2rnn"])
def test_heads_that_do_not_divide_the_units_are_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"hidden is 9, and 4 heads need a multiple of 4: 8 or 12"):
        cells.build({"name": name, "heads": 4}).check(9, 2)


# Parity ----------------------------------------------------------------------------------------------------------


def signs(negative: bool, beta: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The state of a gated DeltaNet with planted weights after each step of random bits, and the parity of the bits.

    The first step stores 1 under the key 1. After it, bits of 1 write the value 0 under the same key with the given
    beta, which multiplies the stored value by 1 - beta; bits of 0 have beta = 0, and nothing decays.
    """
    cell = cells.build({"name": "gated_deltanet", "negative_eigenvalues": negative})
    off, full = -800.0, 800.0
    share = beta / (2 if negative else 1)
    on = full if share == 1 else float(np.log(share / (1 - share)))
    p = {
        "weight_ih": [[20.0, 0, 20], [20, 0, 20], [1.2785, 0, 0]],  # inputs: start, 0, 1; rows: q, k, v
        "weight_beta": [[0.0 if negative else full, off, on]],
        "weight_alpha": [[0.0, 0, 0]],
        "A_log": [-800.0],  # alpha = 1
        "dt_bias": [0.0],
    }
    parameters = {f"{name}_l0": torch.tensor([value], dtype=torch.float64) for name, value in p.items()}
    bits = np.random.default_rng(0).integers(0, 2, length)
    x = np.eye(3)[np.concatenate([[0], bits + 1])]
    outputs = Network(Architecture(cell, 3, 1, 0), parameters).run(torch.from_numpy(x).view(1, length + 1, 1, 3))[0]
    return outputs[0, 1:, 0, 0].numpy(), np.cumsum(bits) % 2


def test_negative_eigenvalues_give_parity_at_any_length() -> None:
    """With beta = 2 each 1 flips the sign of the state, and nothing is lost in 10,000 steps.

    A query at any step would read the sign; q is 0 at bits of 0, where the state is not read.
    """
    read, parity = signs(negative=True, beta=2.0, length=10_000)
    asked = read != 0
    assert asked.sum() > 4000
    assert np.array_equal(read[asked] < 0, parity[asked] == 1)
    assert np.abs(read[asked]).min() == pytest.approx(np.abs(read[asked]).max(), rel=1e-2)


@pytest.mark.parametrize("beta", [0.3, 0.9])
def test_without_them_the_sign_never_changes(beta: float) -> None:
    """The eigenvalue 1 - beta is positive: the state shrinks with each 1, whatever the parity."""
    read, parity = signs(negative=False, beta=beta, length=10_000)
    assert not (read < 0).any()
    assert parity.any()
    assert abs(read[-1]) < 1e-100
