"""Multinomial logistic regression of several target variables on the same features, fitted together.

Shapes: N samples, F features, P problems (target variables), C classes (of the problem with the most).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from farback.measures.base import Floats

Labels = NDArray[np.int64]

ITERATIONS = 300
PENALTY = 1.0  # the loss is the summed cross-entropy plus half of this times the squared weights: a unit normal prior
SMALLEST = 1e-8  # directions smaller than this, relative to the largest, are rounding errors


def whitened(x_NF: Floats, test_MF: Floats) -> tuple[Floats, Floats]:
    """Training and test samples in uncorrelated coordinates of unit variance, (N, G) and (M, G).

    The map is fitted on the training samples; directions without variance are dropped.
    """
    largest_F = np.abs(x_NF).max(0, initial=0.0)
    unit_F = np.where(largest_F > 0, 1 / np.where(largest_F > 0, largest_F, 1.0), 0.0)  # avoids overflow
    mean_F, spread_F = (x_NF * unit_F).mean(0) / np.where(unit_F > 0, unit_F, 1.0), (x_NF * unit_F).std(0)
    varies_F = spread_F > SMALLEST
    scale_F = np.where(varies_F, unit_F / np.where(varies_F, spread_F, 1.0), 0.0)
    _, value_G, right_GF = np.linalg.svd((x_NF - mean_F) * scale_F, full_matrices=False)
    kept_G = value_G > SMALLEST * value_G.max(initial=0.0)
    map_FG = scale_F[:, None] * right_GF[kept_G].T / value_G[kept_G] * np.sqrt(len(x_NF))
    return np.asarray((x_NF - mean_F) @ map_FG), np.asarray((test_MF - mean_F) @ map_FG)


def logistic_regression(
    x_NF: Floats, label_NP: Labels, weight_NP: Floats, classes_P: Labels, test_MF: Floats
) -> Floats:
    """Log probabilities of the classes for test samples, (M, P, C); -inf for classes that a problem does not have.

    Features must be whitened. `classes_P` has the number of classes of each problem. Labels with weight 0 are ignored.
    """
    N, F = x_NF.shape
    P, C = len(classes_P), int(classes_P.max())
    absent_PC = np.where(np.arange(C) < classes_P[:, None], 0.0, -np.inf)
    target_NPC = (label_NP[..., None] == np.arange(C)) * weight_NP[..., None]
    design_NG = np.column_stack([x_NF, np.ones(N)])
    penalty_G11 = PENALTY * np.append(np.ones(F), 0.0)[:, None, None]  # no penalty on the intercept

    def loss(flat: Floats) -> tuple[float, Floats]:
        w_GPC = flat.reshape(F + 1, P, C)
        logit_NPC = (design_NG @ w_GPC.reshape(F + 1, -1)).reshape(N, P, C) + absent_PC
        total_NP1 = logsumexp(logit_NPC, 2, keepdims=True)
        log_p_NPC = np.where(target_NPC > 0, logit_NPC - total_NP1, 0.0)
        value = 0.5 * float((penalty_G11 * w_GPC**2).sum()) - float((target_NPC * log_p_NPC).sum())
        slope_NPC = weight_NP[..., None] * np.exp(logit_NPC - total_NP1) - target_NPC
        return value, (design_NG.T @ slope_NPC.reshape(N, -1) + (penalty_G11 * w_GPC).reshape(F + 1, -1)).ravel()

    from scipy.optimize import minimize  # not before it is needed: 20 MB in every worker

    start = np.zeros((F + 1) * P * C)
    options = {"maxiter": ITERATIONS, "maxcor": 20, "ftol": 1e-9, "gtol": 1e-4}
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x.reshape(F + 1, P * C)
    logit_MPC = (np.column_stack([test_MF, np.ones(len(test_MF))]) @ weights).reshape(-1, P, C) + absent_PC
    return np.asarray(logit_MPC - logsumexp(logit_MPC, 2, keepdims=True))
