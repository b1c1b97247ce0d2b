"""Information processing capacity: which functions of past inputs a linear readout recovers, by lag and degree.

A *term* is a product of polynomials of past inputs. Shapes: T samples, N numbers of the state, K lags, D degrees.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations_with_replacement, islice
from typing import Annotated, Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray
from pydantic import Field

from farback.measures.base import Floats, Lag, MeasureRow, curve_rows, summary_rows
from farback.measures.support.driven_states import Driven
from farback.measures.support.regression import aligned_samples, delayed, span
from farback.networks.network import Network
from farback.tasks.base import Task

CHUNK_NUMBERS = 2_000_000  # values of terms held in memory at once
MOST_TERMS = 1_000_000  # more would take minutes
FALSE_POSITIVES = 1e-4  # share of the terms without capacity that pass the threshold, as in the source


@dataclass(frozen=True)
class InformationCapacity:
    """Capacities, summed over the terms with the same degree and the same largest lag.

    Attributes:
        lag: 0, 1, ..., max_lag.
        degree: 1, 2, ..., max_degree.
        capacity_DK: the summed capacity for each degree and largest lag.
        features: number of linearly independent components of the state, the upper bound of the total.
        terms, samples: number of terms, and number of fitted steps.
    """

    lag: NDArray[np.int64]
    degree: NDArray[np.int64]
    capacity_DK: Floats
    features: int
    terms: int
    samples: int

    @property
    def by_degree(self) -> Floats:
        """The capacity of each degree, summed over lags, (D,). Degree 1 is the linear memory capacity."""
        return np.asarray(self.capacity_DK.sum(1))

    def total(self) -> float:
        """The sum over all degrees and lags."""
        return float(self.capacity_DK.sum())


def information_capacity(
    inputs: Any,
    states: Any,
    max_lag: int,
    max_degree: int,
    distribution: Literal["uniform", "normal"] = "uniform",
    washout: int = 0,
    false_positives: float = FALSE_POSITIVES,
) -> InformationCapacity:
    """The information processing capacity of a system driven by a scalar signal.

    The terms are all products of Legendre (uniform inputs) or Hermite (normal inputs) polynomials of the inputs 0 to
    `max_lag` steps ago, with total degree 1 to `max_degree`. They are uncorrelated, so their capacities add up to at
    most N. The capacity of a term is the adjusted R2 of its regression on the states, or 0 if the R2 is not
    significantly larger than for states that are independent of the inputs.

    Args:
        inputs: the signal, (T,), independent from step to step. It is rescaled by its minimum and maximum (uniform) or
            by its mean and standard deviation (normal).
        states: the state after each step, (T, N).
        max_degree: the largest total degree. There are C(max_lag + 1 + max_degree, max_degree) - 1 terms.
        washout: number of steps to drop at the start.
        false_positives: share of the terms without capacity that pass the significance threshold. With 1 every term
            counts: small capacities are kept, and the estimates of terms without capacity average to zero.

    Raises:
        ValueError: as `memory_function`; a degree below 1, a share outside (0, 1], or too many terms.

    Source: Dambre, Verstraeten, Schrauwen and Massar 2012, Scientific Reports 2:514. Deviation: the threshold is the
    exact quantile of R2, and capacities above the threshold are adjusted for the number of fitted parameters.
    """
    if max_degree < 1 or not 0 < false_positives <= 1:
        raise ValueError(
            f"max_degree must be 1 or more and false_positives in (0, 1], got {max_degree} and {false_positives}"
        )
    input_T, state_TN = aligned_samples(inputs, states, max_lag, washout)
    count = _term_count(max_lag, max_degree)
    fit = span(state_TN)
    threshold = fit.null_quantile(1 - false_positives)
    scaled_TK = delayed(_rescaled(input_T, distribution), max_lag)
    evaluate = scipy.special.eval_legendre if distribution == "uniform" else scipy.special.eval_hermitenorm
    values_DKT = [np.ascontiguousarray(evaluate(degree, scaled_TK).T) for degree in range(max_degree + 1)]
    capacity_DK = np.zeros((max_degree, max_lag + 1))
    size = max(1, CHUNK_NUMBERS // fit.samples)
    for degree in range(1, max_degree + 1):
        terms = combinations_with_replacement(range(max_lag + 1), degree)  # the lag of each factor
        while chunk := list(islice(terms, size)):
            targets = [
                np.prod([values_DKT[power][lag] for lag, power in Counter(term).items()], axis=0) for term in chunk
            ]
            r2 = fit.r2(np.stack(targets).T)
            capacity = np.where(r2 >= threshold, fit.adjusted(r2), 0.0)
            np.add.at(capacity_DK[degree - 1], [term[-1] for term in chunk], capacity)
    return InformationCapacity(
        np.arange(max_lag + 1), np.arange(1, max_degree + 1), capacity_DK, fit.features, count, fit.samples
    )


def _term_count(max_lag: int, max_degree: int) -> int:
    """The number of terms; ValueError if there are more than MOST_TERMS."""
    count = math.comb(max_lag + 1 + max_degree, max_degree) - 1
    if count > MOST_TERMS:
        raise ValueError(
            f"max_degree {max_degree} and max_lag {max_lag} give {count} terms, more than {MOST_TERMS}: "
            "choose a smaller max_lag or max_degree"
        )
    return count


def _rescaled(input_T: Floats, distribution: str) -> Floats:
    """The inputs on [-1, 1] (uniform), or with mean 0 and variance 1 (normal)."""
    if distribution == "uniform":
        low, high = input_T.min(), input_T.max()
        return np.asarray((2 * input_T - low - high) / (high - low))
    return np.asarray((input_T - input_T.mean()) / input_T.std())


class InformationCapacityMeasure(Driven):
    """Information processing capacity: how much a linear readout recovers of polynomials of past inputs.

    Source: Dambre, Verstraeten, Schrauwen and Massar 2012.
    """

    length: Annotated[int, Field(ge=10, le=10_000_000)] = 4000
    max_lag: Lag = 16
    max_degree: Annotated[int, Field(ge=1, le=20)] = 3

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are `degree_1`, `degree_2`, ... for the largest lag of a term; totals and `features` have no lag."""
        driven = self.driven(network, seed)
        if driven is None:
            return []
        capacity = information_capacity(*driven, self.max_lag, self.max_degree, washout=self.washout)
        names = [f"degree_{degree}" for degree in capacity.degree]
        totals = {f"{name}_total": total for name, total in zip(names, capacity.by_degree, strict=True)}
        return curve_rows(capacity.lag, dict(zip(names, capacity.capacity_DK, strict=True))) + summary_rows(
            **totals, total=capacity.total(), features=capacity.features
        )

    def check(self, task: Task) -> None:
        """The task must have the channel, and there must not be more than `MOST_TERMS` terms."""
        super().check(task)
        _term_count(self.max_lag, self.max_degree)
