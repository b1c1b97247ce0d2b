"""The score of the best model without memory on finite data, fitted with scikit-learn and scored on other sequences.

A model without memory sees the input of the asked step, the number of the step and, where the file gives lags, the lag
that the answer needs. Tried are one constant answer, a linear model and gradient-boosted trees.

Shapes: M answers, F features, K classes, C bits, P predictors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from farback.tasks.support.answers import Answer, Bits, Chance, OneOf, Within
from farback.tasks.support.data_files import Layout
from farback.tasks.support.data_sets import DataSet, Part, data_set

MOST_ANSWERS = 20_000  # to fit and to score: enough for standard errors below 1 %
MOST_NUMBERS = 2_000_000  # features of all answers together, so that a fit takes seconds
MOST_TREES = 20  # classes, or bits, for which trees are fitted; each has trees of its own
FLOOR = 1e-6  # the probability that is shared among all classes, so that no loss is infinite
TREES: dict[str, Any] = {"max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 8, "random_state": 0}

Floats = NDArray[np.float64]


class Answers(NamedTuple):
    """Answers of a part, with what a model without memory sees."""

    x_MF: Floats
    y_M: NDArray[Any]  # (M, C) for bits
    lag_M: NDArray[np.int64]


class Scored(NamedTuple):
    """The losses of the fitted predictors on the answers of a part, and the shares of each answer that are right."""

    loss_PM: Floats
    right_PM: Floats
    answers: Answers


@lru_cache(maxsize=10_000)
def memoryless_chance(path: Path, digest: str, layout: Layout, part: Part, lag: int | None) -> Chance:
    """The lowest loss, and the highest accuracy, of models without memory on a part's answers (at one lag).

    The linear model and the trees are fitted to the training part. The constant is the best one for the very answers
    that are scored, so no network that always answers the same can be better than chance.
    """
    data = data_set(path, digest, layout)
    scored = _scored(path, digest, layout, part)
    own_M = np.ones(len(scored.answers.y_M), bool) if lag is None else scored.answers.lag_M == lag
    own_M = own_M if own_M.any() else np.ones_like(own_M)
    loss, accuracy = _constant(data.answer, scored.answers.y_M[own_M])
    losses = [loss, *scored.loss_PM[:, own_M].mean(1)]
    accuracies = [accuracy, *scored.right_PM[:, own_M].mean(1)]
    return Chance(float(max(accuracies)), float(min(losses)))


@lru_cache(maxsize=16)
def _scored(path: Path, digest: str, layout: Layout, part: Part) -> Scored:
    data = data_set(path, digest, layout)
    train, held = _answers_of(data, "train"), _answers_of(data, part)
    varies_F = (train.x_MF != train.x_MF[0]).any(0)  # a feature that never varies says nothing
    if not varies_F.any():
        none = np.empty((0, len(held.y_M)))
        return Scored(none, none, held)
    fits = _forecasts(data.answer, train.x_MF[:, varies_F], train.y_M, held.x_MF[:, varies_F])
    pairs = [_losses(data.answer, forecast, held.y_M) for forecast in fits]
    return Scored(np.array([loss for loss, _ in pairs]), np.array([right for _, right in pairs]), held)


def _answers_of(data: DataSet, part: Part) -> Answers:
    """The answers of a part, or of evenly spaced sequences of it if there are very many."""
    n_N = data.own(part)
    most = min(MOST_ANSWERS, MOST_NUMBERS // (data.input_RI.shape[1] + 1))
    each = max(1, int(data.asked(n_N[:64])[2].sum(1).mean()))
    count = min(len(n_N), max(1, most // each))
    n_N = n_N[np.linspace(0, len(n_N) - 1, count).astype(int)]
    row_NT, _, asked_NT = data.asked(n_N)
    row_M, step_M = row_NT[asked_NT], np.nonzero(asked_NT)[1]
    lag_M = np.zeros(len(row_M), np.int64) if data.lag_R is None else data.lag_R[row_M]
    y_MC = data.target_RC[row_M]
    x_MF = np.column_stack([data.input_RI[row_M], step_M, lag_M]).astype(np.float64)
    return Answers(x_MF, y_MC if isinstance(data.answer, Bits) else y_MC[:, 0], lag_M)


def _constant(answer: Answer, y_M: NDArray[Any]) -> tuple[float, float]:
    """Loss and accuracy of the best constant for these answers."""
    if isinstance(answer, Within):
        error_M = y_M - y_M.mean()
        return float((error_M**2).mean()), float((np.abs(error_M) < answer.tolerance).mean())
    if isinstance(answer, OneOf):
        share_K = np.bincount(y_M, minlength=answer.classes) / len(y_M)
        return _entropy(share_K), float(share_K.max())
    rate_C = y_M.mean(0)
    entropies = [_entropy(np.array([rate, 1 - rate])) for rate in rate_C.astype(float)]
    return float(np.mean(entropies)), float(np.maximum(rate_C, 1 - rate_C).mean())


def _entropy(share_K: Floats) -> float:
    known = share_K[share_K > 0]
    return float(-(known * np.log(known)).sum())


def _forecasts(answer: Answer, x: Floats, y: NDArray[Any], x_held: Floats) -> list[Floats]:
    """Values (M,), or probabilities (M, K) of classes or (M, C) of bits, by a linear model and by trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def linear(model: Any) -> Any:
        return make_pipeline(StandardScaler(), model)

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that has not converged is still a model without memory
        if isinstance(answer, Within):
            models = [linear(Ridge()), HistGradientBoostingRegressor(**TREES)]
            return [np.asarray(model.fit(x, y).predict(x_held)) for model in models]
        makers: list[Callable[[], Any]] = [lambda: linear(LogisticRegression(max_iter=300))]
        if answer.outputs <= MOST_TREES:
            makers.append(lambda: HistGradientBoostingClassifier(**TREES))
        if isinstance(answer, OneOf):
            return [_probabilities(make(), x, y, x_held, answer.classes) for make in makers]
        return [
            np.stack([_probabilities(make(), x, bit, x_held, 2)[:, 1] for bit in y.T.astype(int)], 1) for make in makers
        ]


def _probabilities(model: Any, x: Floats, y: NDArray[Any], x_held: Floats, classes: int) -> Floats:
    """The probability of each class; a class without training answers has almost none."""
    p_MK = np.zeros((len(x_held), classes))
    known = np.unique(y)
    p_MK[:, known] = model.fit(x, y).predict_proba(x_held) if len(known) > 1 else 1.0
    return (1 - FLOOR) * p_MK + FLOOR / classes


def _losses(answer: Answer, forecast: Floats, y_M: NDArray[Any]) -> tuple[Floats, Floats]:
    """The loss of each answer, and whether it is right (for bits the share)."""
    if isinstance(answer, Within):
        error_M = forecast - y_M
        return error_M**2, (np.abs(error_M) < answer.tolerance).astype(float)
    if isinstance(answer, OneOf):
        return -np.log(forecast[np.arange(len(y_M)), y_M]), (forecast.argmax(1) == y_M).astype(float)
    right_MC = np.where(y_M > 0.5, forecast, 1 - forecast)
    return -np.log(right_MC).mean(1), (right_MC > 0.5).mean(1)


def has_memory(answer: Answer, chance: Chance) -> bool:
    """Whether something is left to remember: models without memory are not right already."""
    small = 1e-4  # of a standard deviation squared, or nats: far below what a training can tell from zero
    return math.isfinite(chance.loss) and chance.loss > small and (isinstance(answer, Within) or chance.accuracy < 1)
