"""Name a handwritten digit that is shown pixel by pixel."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_once
from farback.tasks.support.answers import Chance, OneOf, Rung

PIXELS = 64
WINDOWS = (4, 8, 12, 16, 24, 32, 48, 64)
FOLDS = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}


class Digits(Task):
    """Shows one of 1797 images of 8 by 8 pixels, one pixel per step; then a flag asks which digit it was.

    `lag` is the distance from the first pixel to the question: 64 asks right after the last pixel, a larger lag leaves
    a gap in which nothing is shown. `order: rows` shows the pixels row by row, `permuted` in one fixed random order,
    drawn by numpy's default generator with the seed `permutation`.

    Because there are few images, training, validation and testing use different ones (`part`): three, one and one of
    five equal folds. `held_out` is the same task on the images of another part.

    Example (lag = 66; ? is the flag, . shows nothing):

        0 0 .3 .8 .6 .1 ... .7 0 . . ?   -> at the last step: 0

    Chance: always answering 3, the most frequent digit, has accuracy 183 / 1797; the loss is the entropy of the digits,
    2.3023 nats. Ladder (partial memory): a support vector machine on the last w pixels, in five-fold cross-validation,
    so that an accuracy can be read as a number of remembered pixels. Its loss is the cross-entropy of its scaled
    decision values. The last entry of the ladder is a perfect score, which no known method reaches.

    Source: scikit-learn's digits (Alpaydin and Kaynak 1998); pixel by pixel and permuted after Le, Jaitly and Hinton
    2015 (1504.00941).
    """

    inputs: ClassVar[int] = 2  # the pixel and the flag
    answer: ClassVar[OneOf] = OneOf(10)
    least_lag: ClassVar[int] = PIXELS
    order: Literal["rows", "permuted"] = "rows"
    permutation: Annotated[int, Field(ge=0, lt=2**63)] = 0
    part: Literal["train", "validation", "test"] = "train"
    lag: Annotated[int, Field(ge=0, le=100_000)] = PIXELS

    def held_out(self, purpose: Literal["validation", "test"]) -> Self:
        """The same task on the images of another part."""
        return type(self).model_validate({**dict(self), "part": purpose})

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw images of the part, with replacement: sequences of lag + 1 steps."""
        lag_B = self.lags(size, lag_B)
        pixel_NP, digit_N, fold_N = _images()
        own_N = np.flatnonzero(np.isin(fold_N, FOLDS[self.part]))
        drawn_B = own_N[rng.integers(len(own_N), size=size)]
        input_BTI = np.zeros((size, self.lag + 1, 2), dtype=np.float32)
        input_BTI[:, :PIXELS, 0] = pixel_NP[drawn_B][:, self._order()]
        input_BTI[np.arange(size), lag_B, 1] = 1.0
        return batch_once(input_BTI, lag_B, digit_N[drawn_B], lag_B)

    def chance(self) -> Chance:
        """The accuracy of the most frequent digit, and the entropy of the digits."""
        _, digit_N, _ = _images()
        share = np.bincount(digit_N) / len(digit_N)
        return Chance(float(share.max()), float(-(share * np.log(share)).sum()))

    def ladder(self) -> list[Rung]:
        """No pixel known, support vector machines on the last w pixels, and the digit known."""
        chance = self.chance()
        rungs = [Rung("no pixel", chance.accuracy, chance.loss, 0)]
        for window in WINDOWS:
            accuracy, loss = _svm_scores(tuple(self._order()[-window:]))
            rungs.append(Rung(f"the last {window} pixels", accuracy, loss, window))
        return [*rungs, Rung("the digit", 1.0, 0.0, PIXELS)]

    def about(self) -> str:
        """The number of images, and that each part has its own."""
        counts = [int(np.isin(_images()[2], folds).sum()) for folds in FOLDS.values()]
        return "The {} images of {}, {} and {} are disjoint parts for training, validation and testing.".format(
            sum(counts), *counts
        )

    def _order(self) -> NDArray[np.int64]:
        if self.order == "rows":
            return np.arange(PIXELS)
        return np.random.default_rng(self.permutation).permutation(PIXELS)


@functools.cache
def _images() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Scikit-learn's pixels in [0, 1], (1797, 64), digits, and folds 0 to 4 with equal shares of each digit."""
    from sklearn.datasets import load_digits

    images = load_digits()
    digit_N = images.target.astype(np.int64)
    fold_N = np.zeros_like(digit_N)
    for digit in range(10):
        same = np.flatnonzero(digit_N == digit)
        fold_N[np.random.default_rng(digit).permutation(same)] = np.arange(len(same)) % 5
    return (images.data / 16).astype(np.float32), digit_N, fold_N


@functools.cache
def _svm_scores(pixels: tuple[int, ...]) -> tuple[float, float]:
    """Accuracy and loss of a support vector machine (C = 10) on some pixels, in five-fold cross-validation."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.svm import SVC

    pixel_NP, digit_N, _ = _images()
    machine, folds = SVC(C=10), StratifiedKFold(5, shuffle=True, random_state=0)
    decision_NK = cross_val_predict(machine, pixel_NP[:, list(pixels)], digit_N, cv=folds, method="decision_function")

    def loss(log_scale: float) -> float:
        p_NK = log_softmax(np.exp(log_scale) * decision_NK, axis=1)
        return float(-p_NK[np.arange(len(digit_N)), digit_N].mean())

    fitted = minimize_scalar(loss, bounds=(-5, 5), method="bounded")
    return float((decision_NK.argmax(1) == digit_N).mean()), float(fitted.fun)
