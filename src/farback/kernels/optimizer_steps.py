# mypy: allow-untyped-defs, allow-untyped-calls
"""Gradient clipping and Adam on flat parameters, in one pass each: tensor operations cost more in small networks.

Shapes: R replicas, P parameters. The numbers of a replica do not depend on other replicas.
"""

import math

import numpy as np
import torch
from torch import Tensor

from farback.kernels.arguments import LIKE, contiguous
from farback.kernels.buffer_pool import array_at
from farback.kernels.jit import exact_loop, inlined, kernel, loop
from farback.kernels.llvm import call_operator, wide_vectors

RULES = {  # the hyper-parameters of each optimizer but the learning rate, in the order in which code reads them
    "adam": ("beta1", "beta2", "eps"),
    "adamw": ("beta1", "beta2", "eps", "weight_decay"),
    "sgd": ("momentum",),
    "rmsprop": ("alpha", "eps", "momentum"),
}
ADAM, ADAMW, SGD, RMSPROP = range(4)


@loop
def _squares(grad_P, lanes_16):
    """Add the squares to 16 partial sums: whole vectors, and the same order of additions on every processor."""
    wide_vectors()
    for start in range(0, grad_P.size - 15, 16):
        for k in range(16):
            lanes_16[k] += grad_P[start + k] * grad_P[start + k]


@loop
def _scaled(grad_P, scale, out_P):
    for p in range(grad_P.size):
        out_P[p] = grad_P[p] * scale


@kernel
def clip_at(like, R, P, grad, limit, out, norm):
    """`clip`, from addresses."""
    grad_RP, out_RP = array_at(grad, like, (R, P)), array_at(out, like, (R, P))
    limit_R, norm_R = array_at(limit, like, (R,)), array_at(norm, like, (R,))
    lanes_16, one = np.zeros(16, type(like)), type(like)(1)
    for r in range(R):
        lanes_16[:] = 0
        _squares(grad_RP[r], lanes_16)
        total = type(like)(0)
        for p in range(P - P % 16, P):
            total += grad_RP[r, p] * grad_RP[r, p]
        for k in range(16):
            total += lanes_16[k]
        norm_R[r] = math.sqrt(total)
        scale = limit_R[r] / (norm_R[r] + type(like)(1e-6))
        # in this order a scale of NaN counts as 1
        _scaled(grad_RP[r], scale if scale < one else one, out_RP[r])


@loop
def _adam_step(theta_P, grad_P, first_P, second_P, beta1, beta2, eps, rate, correction):
    wide_vectors()
    one = type(beta1)(1)
    for p in range(theta_P.size):
        g = grad_P[p]
        first = first_P[p] * beta1 + g * (one - beta1)
        second = second_P[p] * beta2 + g * g * (one - beta2)
        first_P[p], second_P[p] = first, second
        theta_P[p] -= first / (np.sqrt(second / correction) + eps) * rate


@kernel
def adam_at(like, R, P, count, theta, grad, first, second, lr, beta1, beta2, eps):
    """`adam`, from addresses."""
    theta_RP, grad_RP = array_at(theta, like, (R, P)), array_at(grad, like, (R, P))
    first_RP, second_RP = array_at(first, like, (R, P)), array_at(second, like, (R, P))
    lr_R, eps_R = array_at(lr, like, (R,)), array_at(eps, like, (R,))
    beta1_R, beta2_R = array_at(beta1, like, (R,)), array_at(beta2, like, (R,))
    for r in range(R):
        rate = type(like)(lr_R[r] / (1 - np.float64(beta1_R[r]) ** count))
        correction = type(like)(1 - np.float64(beta2_R[r]) ** count)
        moments = first_RP[r], second_RP[r]
        _adam_step(theta_RP[r], grad_RP[r], *moments, beta1_R[r], beta2_R[r], eps_R[r], rate, correction)


@exact_loop
def _decay(theta_P, rate, decay):
    factor = type(rate)(1) - rate * decay
    for p in range(theta_P.size):
        theta_P[p] *= factor


@exact_loop
def _sgd_step(theta_P, grad_P, velocity_P, rate, momentum):
    for p in range(theta_P.size):
        velocity_P[p] = velocity_P[p] * momentum + grad_P[p]
        theta_P[p] -= velocity_P[p] * rate


@exact_loop
def _mean_square(grad_P, square_P, copy_P, alpha):
    rest = type(alpha)(1) - alpha
    for p in range(grad_P.size):
        square_P[p] = square_P[p] * alpha + grad_P[p] * grad_P[p] * rest
        copy_P[p] = square_P[p]


@exact_loop
def _rmsprop_step(theta_P, grad_P, root_P, velocity_P, rate, eps, momentum):
    for p in range(theta_P.size):
        velocity_P[p] = velocity_P[p] * momentum + grad_P[p] / (root_P[p] + eps)
        theta_P[p] -= velocity_P[p] * rate


@inlined
def step_at(optimizer, like, P, count, places, rate, rules, root):
    """One step of one replica.

    `places` are the addresses of parameters, gradient and running averages, `rate` and `rules` those of its learning
    rate and other rules. `root` is torch's operator for square roots, its C++ tensor, and the memory of this (P,).
    """
    theta_P, grad_P = array_at(places[0], like, (P,)), array_at(places[1], like, (P,))
    first_P, second_P = array_at(places[2], like, (P,)), array_at(places[3], like, (P,))
    lr = array_at(rate, like, (1,))[0]
    one, two = array_at(rules[0], like, (1,))[0], array_at(rules[1], like, (1,))[0]
    if optimizer == SGD:
        _sgd_step(theta_P, grad_P, first_P, lr, one)
    elif optimizer == RMSPROP:
        root_P = array_at(root[2], like, (P,))
        _mean_square(grad_P, first_P, root_P, one)
        call_operator(root[0], (root[1], root[1]))
        _rmsprop_step(theta_P, grad_P, root_P, second_P, lr, two, array_at(rules[2], like, (1,))[0])
    else:
        if optimizer == ADAMW:
            _decay(theta_P, lr, array_at(rules[3], like, (1,))[0])
        adam_at(like, 1, P, count, *places, rate, rules[0], rules[1], rules[2])


def clip(grad_RP: Tensor, limit_R1: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient scaled down to each replica's limit, and the norms before scaling, (R,)."""
    R, P = grad_RP.shape
    grad_RP, limit_R1 = contiguous(grad_RP), contiguous(limit_R1)
    out, norm = torch.empty_like(grad_RP), grad_RP.new_empty(R)
    places = (grad_RP.data_ptr(), limit_R1.data_ptr(), out.data_ptr(), norm.data_ptr())
    clip_at(LIKE[grad_RP.dtype], R, P, *places)
    return out, norm


def adam(theta: Tensor, grad: Tensor, first: Tensor, second: Tensor, rules: dict[str, Tensor], count: int) -> None:
    """One Adam step of all replicas, in place; each rule is (R, 1)."""
    R, P = theta.shape
    like, grad = LIKE[theta.dtype], contiguous(grad)
    places = [t.data_ptr() for t in (theta, grad, first, second, *(rules[n] for n in ("lr", "beta1", "beta2", "eps")))]
    adam_at(like, R, P, count, *places)
