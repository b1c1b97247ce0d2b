"""Word problems of groups: which element is the product so far?"""

from __future__ import annotations

import functools
import itertools
import re
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from farback.tasks.base import Batch, Lags, Task, batch_at, batch_once, one_hot
from farback.tasks.support.answers import OneOf, Rung


def _known(name: str) -> str:
    """The name itself; raises ValueError if it is no group of this module."""
    if not re.fullmatch(r"z([2-9]|[1-9]\d|1[01]\d|120)|[sa][345]", name):
        raise ValueError(f"group is {name!r}; choose from z2 to z120 (cyclic), s3, s4, s5, a3, a4 and a5")
    return name


class Group(Task):
    """Name the product of all elements of a finite group shown so far.

    `group` is the cyclic group z2 to z120, the permutations s3, s4 or s5, or the even permutations a3, a4 or a5. The
    product is x_0 x_1 ... x_t; of permutations, (p q)(i) = p(q(i)). A state of one element is enough. Unlike parity,
    which is z2, products of permutations depend on their order; in a5 and s5, which are not solvable, they are thought
    to need computations that a fixed number of layers without a nonlinear recurrence cannot do at every length.

    `asked: end` asks once, at step `lag`, and so for the product of lag + 1 elements; `every` asks at each step up to
    it, and an answer at step t needs the lag t.

    Example (z5, asked: every, lag = 4; elements are numbers, products are sums modulo 5):

        3 4 0 1 1   -> 3 2 2 3 4

    Chance: accuracy 1 / |G|, loss ln |G|, also for a model that misses only one element, because the product of a fixed
    element with a random one is any element with equal probability. So partial memory is worth nothing.

    Source: Barrington 1989, Journal of Computer and System Sciences 38; Merrill et al. 2024 (2404.08819), with
    uniformly random elements as there; neither text was read.
    """

    group: Annotated[str, AfterValidator(_known)] = "s3"
    asked: Literal["end", "every"] = "end"

    @property
    def inputs(self) -> int:
        """One input for each element."""
        return len(multiplication_table(self.group))

    @property
    def answer(self) -> OneOf:
        """One of the elements."""
        return OneOf(self.inputs)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps."""
        lag_B = self.lags(size, lag_B)
        table_GG = multiplication_table(self.group)
        element_BT = rng.integers(len(table_GG), size=(size, self.lag + 1))
        product_BT = element_BT.copy()
        for t in range(1, self.lag + 1):
            product_BT[:, t] = table_GG[product_BT[:, t - 1], element_BT[:, t]]
        input_BTI, step_BT = one_hot(element_BT, len(table_GG)), np.arange(self.lag + 1)[None]
        if self.asked == "end":
            return batch_once(input_BTI, lag_B, product_BT[np.arange(size), lag_B], lag_B)
        is_asked_BT = step_BT <= lag_B[:, None]
        return batch_at(input_BTI, step_BT, product_BT * is_asked_BT, np.where(is_asked_BT, step_BT, -1))

    def ladder(self) -> list[Rung]:
        """A model that misses one element, and a model that knows every element."""
        chance = self.chance()
        return [Rung("all but one element", chance.accuracy, chance.loss), Rung("every element", 1.0, 0.0)]


@functools.cache
def multiplication_table(group: str) -> NDArray[np.int64]:
    """The number of the product of each element with each, (|G|, |G|); permutations are numbered in lexical order."""
    kind, n = group[0], int(group[1:])
    if kind == "z":
        return np.add.outer(np.arange(n), np.arange(n)) % n
    every = [p for p in itertools.permutations(range(n)) if kind == "s" or _is_even(p)]
    number = {p: index for index, p in enumerate(every)}
    return np.array([[number[tuple(p[i] for i in q)] for q in every] for p in every])


def _is_even(p: tuple[int, ...]) -> bool:
    return sum(a > b for a, b in itertools.combinations(p, 2)) % 2 == 0
