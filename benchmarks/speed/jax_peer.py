"""JAX's version of one training step: `scan` over time, `vmap` over the cohort, `jit` around the whole step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

# Read by XLA when jax is imported: one thread, as for all peers.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from benchmarks.speed.points import Point
from torch import Tensor

from farback.networks.network import Network
from farback.training.batches import CohortBatch

Parameters = dict[str, Any]
WAIT: Callable[[Any], Any] = jax.block_until_ready
LR, BETA1, BETA2, EPS, LIMIT = 1e-3, 0.9, 0.999, 1e-8, 1.0


def rnn(p: Parameters, h: Any, gates_BG: Any) -> tuple[Any, Any]:
    """The tanh recurrence of `torch.nn.RNN`."""
    h = jnp.tanh(gates_BG + h @ p["weight_hh_l0"].T + p["bias_hh_l0"])
    return h, h


def gru(p: Parameters, h: Any, gates_BG: Any) -> tuple[Any, Any]:
    """The recurrence of `torch.nn.GRU`."""
    own_BG = h @ p["weight_hh_l0"].T + p["bias_hh_l0"]
    (r_in, z_in, n_in), (r_h, z_h, n_h) = jnp.split(gates_BG, 3, -1), jnp.split(own_BG, 3, -1)
    r, z = jax.nn.sigmoid(r_in + r_h), jax.nn.sigmoid(z_in + z_h)
    n = jnp.tanh(n_in + r * n_h)
    h = (1 - z) * n + z * h
    return h, h


def lstm(p: Parameters, state: Any, gates_BG: Any) -> tuple[Any, Any]:
    """The recurrence of `torch.nn.LSTM`."""
    h, c = state
    i, f, g, o = jnp.split(gates_BG + h @ p["weight_hh_l0"].T + p["bias_hh_l0"], 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


STEPS: dict[str, Callable[..., tuple[Any, Any]]] = {"RNN": rnn, "GRU": gru, "LSTM": lstm}


def loss(p: Parameters, x_TBI: Any, target_B: Any, cell: str) -> Any:
    """Cross entropy of one network's answers after the last step."""
    gates_TBG = x_TBI @ p["weight_ih_l0"].T + p["bias_ih_l0"]  # all steps at once
    zero_BH = jnp.zeros((x_TBI.shape[1], p["weight_hh_l0"].shape[1]))
    state = (zero_BH, zero_BH) if cell == "LSTM" else zero_BH
    last, _ = jax.lax.scan(lambda state, gates: (STEPS[cell](p, state, gates)[0], None), state, gates_TBG)
    h_BH = last[0] if cell == "LSTM" else last
    logits_BO = h_BH @ p["readout.weight"].T + p["readout.bias"]
    return -jnp.take_along_axis(jax.nn.log_softmax(logits_BO), target_B[:, None], 1).mean()


def update(cell: str, p: Parameters, moments: Any, count: Any, x_TBI: Any, target_B: Any) -> Any:
    """Forward, loss, backward, clip, Adam of one network."""
    value, grads = jax.value_and_grad(loss)(p, x_TBI, target_B, cell)
    norm = jnp.sqrt(sum(jnp.square(grad).sum() for grad in grads.values()))
    scale = jnp.minimum(1.0, LIMIT / (norm + 1e-6))
    first = {name: BETA1 * moments[0][name] + (1 - BETA1) * scale * grad for name, grad in grads.items()}
    second = {name: BETA2 * moments[1][name] + (1 - BETA2) * (scale * grad) ** 2 for name, grad in grads.items()}
    rate, corrected = LR / (1 - BETA1**count), 1 - BETA2**count
    p = {name: p[name] - rate * first[name] / (jnp.sqrt(second[name] / corrected) + EPS) for name in p}
    return value, p, (first, second)


class Jax:
    """A cohort at a point of the grid."""

    def __init__(self, point: Point, network: Network, questions: CohortBatch) -> None:
        self.parameters = {name: jnp.asarray(value.detach().numpy()) for name, value in network.parameters.items()}
        zeros = {name: jnp.zeros_like(value) for name, value in self.parameters.items()}
        self.moments = (zeros, {name: jnp.zeros_like(value) for name, value in zeros.items()})
        assert isinstance(questions.x_RTBI, Tensor)
        self.x_RTBI = jnp.asarray(questions.x_RTBI.numpy())
        self.target_RB = jnp.asarray(questions.target_RN.numpy())
        self.count = 0
        mapped = jax.vmap(partial(update, point.cell), in_axes=(0, 0, None, 0, 0))
        self.jitted = jax.jit(mapped, donate_argnums=(0, 1))

    def step(self) -> Sequence[float]:
        """One step of every network; the losses before it."""
        self.count += 1
        count = jnp.float32(self.count)
        value_R, self.parameters, self.moments = self.jitted(
            self.parameters, self.moments, count, self.x_RTBI, self.target_RB
        )
        WAIT((value_R, self.parameters, self.moments))
        return [float(value) for value in value_R]
