"""Multinomial logistic regression: many questions about the same features, answered at once.

Shapes: N samples, F features, P problems, C classes (of the problem that has most).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from farback.measures.support.regression import Floats

Labels = NDArray[np.int64]

ITERATIONS = 300
PENALTY = 1.0  # half of it times the squared weights, beside the summed loss: a unit-variance prior
SMALLEST = 1e-8  # directions this much smaller than the largest are rounding


@dataclass(frozen=True)
class Whitening:
    """Features turned into uncorrelated ones of unit variance, so that a fit does not depend on their coordinates."""

    mean_F: Floats
    turn_FG: Floats

    @classmethod
    def of(cls, x_NF: Floats) -> Whitening:
        """That of these samples; what never varies is dropped."""
        largest_F = np.abs(x_NF).max(0, initial=0.0)
        unit_F = np.where(
            largest_F > 0, 1 / np.where(largest_F > 0, largest_F, 1.0), 0.0
        )  # so that no square overflows
        mean_F, spread_F = (x_NF * unit_F).mean(0) / np.where(unit_F > 0, unit_F, 1.0), (x_NF * unit_F).std(0)
        varies_F = spread_F > SMALLEST
        scale_F = np.where(varies_F, unit_F / np.where(varies_F, spread_F, 1.0), 0.0)
        _, value_G, turn_GF = np.linalg.svd((x_NF - mean_F) * scale_F, full_matrices=False)
        kept_G = value_G > SMALLEST * value_G.max(initial=0.0)
        turn_FG = scale_F[:, None] * turn_GF[kept_G].T / value_G[kept_G] * np.sqrt(len(x_NF))
        return cls(mean_F, turn_FG)

    def __call__(self, x_NF: Floats) -> Floats:
        """The new features, (N, G)."""
        return np.asarray((x_NF - self.mean_F) @ self.turn_FG)


def logistic(x_NF: Floats, label_NP: Labels, weight_NP: Floats, classes_P: Labels, test_MF: Floats) -> Floats:
    """Log probabilities of the classes for other samples, (M, P, C); -inf for classes that a problem does not have.

    Args:
        x_NF: whitened features.
        label_NP: each problem's class of each sample; what it is does not matter where the weight is 0.
        weight_NP: what each sample counts in each problem.
        classes_P: how many classes each problem has.
        test_MF: features of the other samples.
    """
    N, F = x_NF.shape
    P, C = len(classes_P), int(classes_P.max())
    absent_PC = np.where(np.arange(C) < classes_P[:, None], 0.0, -np.inf)
    target_NPC = (label_NP[..., None] == np.arange(C)) * weight_NP[..., None]
    with_one_NG = np.column_stack([x_NF, np.ones(N)])
    penalty_G11 = PENALTY * np.append(np.ones(F), 0.0)[:, None, None]  # the constant is free

    def loss(flat: Floats) -> tuple[float, Floats]:
        w_GPC = flat.reshape(F + 1, P, C)
        logit_NPC = (with_one_NG @ w_GPC.reshape(F + 1, -1)).reshape(N, P, C) + absent_PC
        total_NP1 = logsumexp(logit_NPC, 2, keepdims=True)
        picked = np.where(target_NPC > 0, logit_NPC - total_NP1, 0.0)
        value = 0.5 * float((penalty_G11 * w_GPC**2).sum()) - float((target_NPC * picked).sum())
        slope_NPC = weight_NP[..., None] * np.exp(logit_NPC - total_NP1) - target_NPC
        return value, (with_one_NG.T @ slope_NPC.reshape(N, -1) + (penalty_G11 * w_GPC).reshape(F + 1, -1)).ravel()

    start = np.zeros((F + 1) * P * C)
    options = {"maxiter": ITERATIONS, "maxcor": 20, "ftol": 1e-9, "gtol": 1e-4}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x.reshape(F + 1, P * C)
    logit_MPC = (np.column_stack([test_MF, np.ones(len(test_MF))]) @ found).reshape(-1, P, C) + absent_PC
    return np.asarray(logit_MPC - logsumexp(logit_MPC, 2, keepdims=True))
