"""Name a handwritten digit that is shown pixel by pixel."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch
from farback.tasks.support.answers import Chance, OneOf, Rung

PIXELS = 64
WINDOWS = (4, 8, 12, 16, 24, 32, 48, 64)
FOLDS = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}


class Digits(Task):
    """One of the 1797 images of 8 by 8 pixels, a pixel a step; then a flag asks which digit it was.

    `lag` is the distance from the first pixel to the question: 64 asks right after the last pixel, a larger lag leaves
    a gap in which nothing is shown. `order` is row by row, or `permuted`: one fixed permutation, drawn from
    `permutation`, the seed of numpy's default generator.

    Images are few, so training, validation and test have images of their own (`part`): a network is trained on three of
    five folds and tested on the last; `held_out` gives the same task on the others.

    Example (lag = 66; ? is the flag, . shows nothing):

        0 0 .3 .8 .6 .1 ... .7 0 . . ?   -> at the last step: 0

    Chance: always 3, the most frequent digit, accuracy 183 / 1797; loss the entropy of the digits, 2.3023 nats. Ladder:
    what a support vector machine makes of the last w pixels alone, in five-fold cross-validation, so that an accuracy
    converts into pixels remembered; its loss is that of its decision values at the temperature that fits them best.
    The last rung is perfection, which no method is known to reach.

    Source: scikit-learn's digits (Alpaydin and Kaynak 1998); pixel by pixel and permuted after Le, Jaitly and Hinton
    2015 (1504.00941).
    """

    order: Literal["rows", "permuted"] = "rows"
    permutation: Annotated[int, Field(ge=0, lt=2**63)] = 0
    part: Literal["train", "validation", "test"] = "train"
    lag: Annotated[int, Field(ge=0, le=100_000)] = PIXELS

    @property
    def least(self) -> int:
        """All pixels are shown."""
        return PIXELS

    @property
    def inputs(self) -> int:
        """The pixel, and the flag."""
        return 2

    @property
    def answer(self) -> OneOf:
        """A digit."""
        return OneOf(10)

    def held_out(self, purpose: Literal["validation", "test"]) -> Self:
        """The same on images of their own."""
        return type(self).model_validate({**dict(self), "part": purpose})

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw images of the part, with replacement: sequences of lag + 1 steps."""
        lag_B = self.lags(size, lag_B)
        pixel_NP, digit_N = self._part()
        drawn_B, row_B = rng.integers(len(digit_N), size=size), np.arange(size)
        input_BTI = np.zeros((size, self.lag + 1, 2), dtype=np.float32)
        input_BTI[:, :PIXELS, 0] = pixel_NP[drawn_B][:, self._order()]
        input_BTI[row_B, lag_B, 1] = 1.0
        target_BT = np.zeros((size, self.lag + 1), dtype=np.int64)
        target_BT[row_B, lag_B] = digit_N[drawn_B]
        lag_BT = np.full_like(target_BT, -1)
        lag_BT[row_B, lag_B] = lag_B
        return batch(input_BTI, target_BT, lag_BT)

    def chance(self) -> Chance:
        """The most frequent digit; the frequencies of the digits."""
        share = np.bincount(_images()[1]) / len(_images()[1])
        return Chance(float(share.max()), float(-(share * np.log(share)).sum()))

    def ladder(self) -> list[Rung]:
        """What the last w pixels tell."""
        chance = self.chance()
        rungs = [Rung("no pixel", chance.accuracy, chance.loss, 0)]
        for window in WINDOWS:
            accuracy, loss = ceiling(tuple(self._order()[-window:]))
            rungs.append(Rung(f"the last {window} pixels", accuracy, loss, window))
        return [*rungs, Rung("the digit", 1.0, 0.0, PIXELS)]

    def _order(self) -> NDArray[np.int64]:
        place = np.arange(PIXELS)
        return place if self.order == "rows" else np.random.default_rng(self.permutation).permutation(PIXELS)

    def _part(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        pixel_NP, digit_N = _images()
        own_N = np.isin(_folds(), FOLDS[self.part])
        return pixel_NP[own_N], digit_N[own_N]


@functools.cache
def _images() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels in [0, 1], (1797, 64), and digits; they come with scikit-learn, nothing is downloaded."""
    from sklearn.datasets import load_digits

    images = load_digits()
    return (images.data / 16).astype(np.float32), images.target.astype(np.int64)


@functools.cache
def _folds() -> NDArray[np.int64]:
    """The fold of each image, 0 to 4: every digit is spread evenly over them."""
    digit_N = _images()[1]
    fold_N = np.zeros_like(digit_N)
    for digit in range(10):
        own = np.flatnonzero(digit_N == digit)
        fold_N[np.random.default_rng(digit).permutation(own)] = np.arange(len(own)) % 5
    return fold_N


@functools.cache
def ceiling(pixels: tuple[int, ...]) -> tuple[float, float]:
    """Accuracy and loss of a support vector machine (C = 10) that sees some pixels, in five-fold cross-validation."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.svm import SVC

    pixel_NP, digit_N = _images()
    machine, folds = SVC(C=10), StratifiedKFold(5, shuffle=True, random_state=0)
    decision_NK = cross_val_predict(machine, pixel_NP[:, list(pixels)], digit_N, cv=folds, method="decision_function")

    def loss(log_scale: float) -> float:
        p_NK = log_softmax(np.exp(log_scale) * decision_NK, axis=1)
        return float(-p_NK[np.arange(len(digit_N)), digit_N].mean())

    fitted = minimize_scalar(loss, bounds=(-5, 5), method="bounded")
    return float((decision_NK.argmax(1) == digit_N).mean()), float(fitted.fun)
