"""Information processing capacity: which functions of past inputs a linear readout recovers, by lag and degree.

Shapes: T samples, N numbers of the state, K lags, D degrees.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, islice
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import eval_hermitenorm, eval_legendre

from farback.measures.base import Row, Untrained
from farback.measures.support.driven_signal import Driven
from farback.measures.support.regression import Floats, delayed, samples, span
from farback.networks.network import Network
from farback.tasks.base import Task

CHUNK_NUMBERS = 2_000_000  # values of terms held at once
MOST_TERMS = 1_000_000  # beyond it a call would take minutes
FALSE_POSITIVES = 1e-4  # the share of absent terms that is let through, as in the source

Term = tuple[int, ...]  # the lags of the factors, each as often as its degree


@dataclass(frozen=True)
class InformationCapacity:
    """Capacities summed over the terms of one degree whose largest lag is k.

    Attributes:
        lag: 0, 1, ..., the largest.
        degree: 1, 2, ..., the largest.
        capacity_DK: what the terms of each degree and largest lag contribute.
        features: linearly independent numbers of the state, the bound of the total over all lags and degrees.
        terms: how many were looked at.
        samples: steps that were fitted.
    """

    lag: NDArray[np.int64]
    degree: NDArray[np.int64]
    capacity_DK: Floats
    features: int
    terms: int
    samples: int

    @property
    def by_degree(self) -> Floats:
        """The capacity of each degree, over all lags, (D,). The first is the linear memory capacity."""
        return np.asarray(self.capacity_DK.sum(1))

    def total(self) -> float:
        """Over all degrees and lags."""
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

    The terms are all products of Legendre (uniform inputs) or Hermite (normal inputs) polynomials of the inputs of 0 to
    `max_lag` steps ago, of total degree 1 to `max_degree`: uncorrelated targets, so that their capacities add up, to N
    at most. A term's capacity is the adjusted R2 of its regression on the states, and 0 where R2 could come from states
    that do not know it.

    Args:
        inputs: the signal, (T,), independent from step to step; it is put on the polynomials' scale by its extremes
            (uniform) or its mean and standard deviation (normal).
        states: the states after each step, (T, N).
        max_lag: the largest lag.
        max_degree: the largest total degree. There are (max_lag + 1 + max_degree over max_degree) - 1 terms.
        distribution: of the inputs.
        washout: steps to leave out at the start.
        false_positives: the share of absent terms that is let through. 1 takes every term, so that nothing small is
            lost and the absent ones cancel in the mean.

    Raises:
        ValueError: as `memory_function`; a degree below 1, a share outside (0, 1], or too many terms.

    Source: Dambre, Verstraeten, Schrauwen and Massar 2012, Scientific Reports 2:514. Deviation: the threshold is the
    exact quantile of R2, and what passes is adjusted for the fit.
    """
    if max_degree < 1 or not 0 < false_positives <= 1:
        raise ValueError(
            f"max_degree must be 1 or more and false_positives in (0, 1], got {max_degree} and {false_positives}"
        )
    input_T, state_TN = samples(inputs, states, max_lag, washout)
    count = math.comb(max_lag + 1 + max_degree, max_degree) - 1
    if count > MOST_TERMS:
        raise ValueError(
            f"{count} terms of degree {max_degree} over lags 0 to {max_lag}, more than {MOST_TERMS}: "
            f"take a smaller max_lag or max_degree"
        )
    reach = span(state_TN)
    least = reach.null(1 - false_positives)
    polynomial = _polynomials(delayed(_standard(input_T, distribution), max_lag), max_degree, distribution)
    capacity_DK = np.zeros((max_degree, max_lag + 1))
    for degree in range(1, max_degree + 1):
        terms = combinations_with_replacement(range(max_lag + 1), degree)
        for chunk in _chunks(terms, max(1, CHUNK_NUMBERS // reach.samples)):
            r2 = reach.r2(np.stack([_product(polynomial, term) for term in chunk]).T)
            capacity = np.where(r2 >= least, reach.adjusted(r2), 0.0)
            np.add.at(capacity_DK[degree - 1], [term[-1] for term in chunk], capacity)
    return InformationCapacity(
        np.arange(max_lag + 1), np.arange(1, max_degree + 1), capacity_DK, reach.features, count, reach.samples
    )


def _standard(input_T: Floats, distribution: str) -> Floats:
    """On [-1, 1], or with mean 0 and variance 1."""
    if distribution == "uniform":
        low, high = input_T.min(), input_T.max()
        return np.asarray((2 * input_T - low - high) / (high - low))
    return np.asarray((input_T - input_T.mean()) / input_T.std())


def _polynomials(input_TK: Floats, max_degree: int, distribution: str) -> list[list[Floats]]:
    """By degree, then by lag: the values at each step, (T,)."""
    evaluate = eval_legendre if distribution == "uniform" else eval_hermitenorm
    return [list(np.ascontiguousarray(evaluate(degree, input_TK).T)) for degree in range(max_degree + 1)]


def _product(polynomial: list[list[Floats]], term: Term) -> Floats:
    factors = [polynomial[degree][lag] for lag, degree in Counter(term).items()]
    value = factors[0]
    for factor in factors[1:]:
        value = value * factor
    return value


def _chunks(terms: Iterator[Term], size: int) -> Iterator[list[Term]]:
    while chunk := list(islice(terms, size)):
        yield chunk


class InformationCapacityMeasure(Driven):
    """Capacity by degree, and by the largest lag of a term; see `driven` for the drive.

    Source: Dambre, Verstraeten, Schrauwen and Massar 2012.
    """

    length: Annotated[int, Field(ge=10, le=10_000_000)] = 4000
    max_lag: Annotated[int, Field(ge=0, le=100_000)] = 16
    max_degree: Annotated[int, Field(ge=1, le=20)] = 3

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows degree_1, degree_2, ... for each lag; degree_1_total, ..., total and features belong to none.

        A net whose state does not stay finite has no rows.
        """
        return [self._rows(network.replica(index), seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, seed: int) -> list[Row]:
        driven = self.driven(network, seed)
        if driven is None:
            return []
        found = information_capacity(*driven, self.max_lag, self.max_degree, washout=self.washout)
        rows = [
            Row(lag, f"degree_{degree}", float(value))
            for degree, curve in zip(found.degree.tolist(), found.capacity_DK, strict=True)
            for lag, value in enumerate(curve)
        ]
        rows += [Row(-1, f"degree_{d}_total", float(v)) for d, v in zip(found.degree, found.by_degree, strict=True)]
        return [*rows, Row(-1, "total", found.total()), Row(-1, "features", float(found.features))]

    def check(self, task: Task) -> None:
        """The channel must be one of the task's inputs, and the terms must be few enough."""
        super().check(task)
        if math.comb(self.max_lag + 1 + self.max_degree, self.max_degree) > MOST_TERMS:
            raise ValueError(
                f"max_degree {self.max_degree} over max_lag {self.max_lag} has more than {MOST_TERMS} terms"
            )
