"""Kinds of answers (classes, real numbers, bits) with loss and score; chance levels, partial memory and skill."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override


@dataclass(frozen=True)
class Chance:
    """The two ends of a task's scale: the scores without memory and the best possible loss.

    Attributes:
        accuracy: the accuracy of the best guess of a model that remembers nothing, in [0, 1].
        loss: the loss of the same guess, in nats or squared error.
        best: the loss of a model that remembers everything; above 0 where the answer itself is partly random.
    """

    accuracy: float
    loss: float
    best: float = 0.0


@dataclass(frozen=True)
class Rung:
    """The scores of a model with partial memory.

    Attributes:
        remembered: what the model remembers, in words.
        accuracy: the share of its answers that are right.
        loss: its loss, in nats or squared error.
        amount: how much it remembers, where that is a number (of steps, days, pixels).
    """

    remembered: str
    accuracy: float
    loss: float
    amount: float | None = None


class Answer(ABC):
    """A kind of answer: the number of outputs, the loss and the score."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """The number of outputs of the network at each step."""

    @property
    def start(self) -> float:
        """What is added to the readout's initial bias, so that training begins near the best guess without memory."""
        return 0.0

    @abstractmethod
    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """The loss of each of N answers; there may be several axes in place of N."""

    def slope(self, output_NO: Tensor, target_N: Tensor) -> tuple[Tensor, Tensor]:
        """The losses (N,) and their derivatives with respect to the outputs (N, O)."""
        with torch.enable_grad():
            leaf_NO = output_NO.detach().requires_grad_()
            loss_N = self.loss(leaf_NO, target_N)
            (slope_NO,) = torch.autograd.grad(loss_N, [leaf_NO], torch.ones_like(loss_N))
        return loss_N.detach(), slope_NO

    @abstractmethod
    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Whether each answer is right, or the share of it that is right."""

    @abstractmethod
    def perfect(self, target_N: Tensor) -> Tensor:
        """The outputs (N, O) of a model that knows the answer for certain."""

    def remembered(self, accuracy: float, loss: float, chance: Chance) -> bool:
        """Whether these scores count as remembering: a loss at least halfway from chance to the best (skill 0.5)."""
        return loss <= 0.5 * (chance.loss + chance.best) and chance.best < chance.loss


@dataclass(frozen=True)
class OneOf(Answer):
    """One of several classes, with cross-entropy in nats; accuracy (1 + chance) / 2 or more counts as remembered."""

    classes: int

    @property
    def outputs(self) -> int:
        """One logit per class."""
        return self.classes

    @override
    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        return -torch.log_softmax(output_NO, -1).gather(-1, target_N.unsqueeze(-1)).squeeze(-1)

    def slope(self, output_NO: Tensor, target_N: Tensor) -> tuple[Tensor, Tensor]:
        """The losses, and the class probabilities minus 1 at the target; without autograd, for speed."""
        log_probability, place_N1 = torch.log_softmax(output_NO, -1), target_N.unsqueeze(-1)
        loss_N = -log_probability.gather(-1, place_N1).squeeze(-1)
        return loss_N, log_probability.exp_().scatter_add_(-1, place_N1, output_NO.new_full((), -1).expand_as(place_N1))

    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Whether the target has the largest logit. An answer with non-finite outputs is wrong."""
        return (output_NO.argmax(-1) == target_N) & torch.isfinite(output_NO).all(-1)

    def perfect(self, target_N: Tensor) -> Tensor:
        """Logits so far apart that the cross-entropy is zero in float32."""
        return 200.0 * torch.nn.functional.one_hot(target_N, self.classes).float()

    def remembered(self, accuracy: float, loss: float, chance: Chance) -> bool:
        """Judged by accuracy, so that right but overconfident answers count, and knowing one bit of two does not."""
        return accuracy >= (1 + chance.accuracy) / 2 and chance.accuracy < 1


@dataclass(frozen=True)
class Within(Answer):
    """A real number, with squared error; right if within `tolerance`; an R2 of 0.5 or more counts as remembered."""

    tolerance: float

    @property
    @override
    def outputs(self) -> int:
        return 1

    @override
    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        return (output_NO.squeeze(-1) - target_N).square()

    @override
    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        return (output_NO.squeeze(-1) - target_N).abs() < self.tolerance

    @override
    def perfect(self, target_N: Tensor) -> Tensor:
        return target_N.unsqueeze(-1)


@dataclass(frozen=True)
class Bits(Answer):
    """Independent yes/no answers, such as the pixels of a map: binary cross-entropy in nats, the mean over the bits.

    The outputs are logits, and the target of an asked step is a row of `count` zeros and ones (float32). A skill of 0.5
    or more counts as remembered, whatever the accuracy: where a yes is rare, a model that always says no is nearly
    always right.

    Attributes:
        count: the number of bits, which is the number of outputs.
        rate: the probability that a bit is one. The readout's bias starts at its logit, so that training begins at the
            base rate instead of spending its first hundreds of updates on finding it.
    """

    count: int
    rate: float = 0.5

    @property
    def outputs(self) -> int:
        """One logit per bit."""
        return self.count

    @property
    def start(self) -> float:
        """The logit of the base rate."""
        return math.log(self.rate / (1 - self.rate))

    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Mean binary cross-entropy over the bits, `z (1/2 - y) + |z| / 2 + ln(1 + exp(-|z|))`, with logits z."""
        size_NO = output_NO.abs()
        each_NO = output_NO * (0.5 - target_N) + 0.5 * size_NO + torch.log1p(torch.exp(-size_NO))
        return each_NO.mean(-1)

    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """The share of the bits whose logit has the right sign. A bit with a non-finite output is wrong."""
        right_NO = ((output_NO > 0) == (target_N > 0.5)) & torch.isfinite(output_NO)
        return right_NO.to(output_NO.dtype).mean(-1)

    def perfect(self, target_N: Tensor) -> Tensor:
        """Logits so far from zero that the cross-entropy is zero in float32."""
        return 400.0 * target_N - 200.0


def skill(loss: float, chance: Chance) -> float:
    """`(chance - loss) / (chance - best)`: 0 at chance, 1 at the best possible loss, negative if worse than chance."""
    return (chance.loss - loss) / (chance.loss - chance.best) if chance.loss > chance.best else float("nan")


def candidates(symbols: int) -> list[int]:
    """How many of `symbols` equally likely symbols are left after each remembered bit, from all of them to 1."""
    left = [symbols >> bits for bits in range(symbols.bit_length()) if symbols % (1 << bits) == 0]
    return left if left[-1] == 1 else [*left, 1]


def partial(kept: int, count: int, parts: str, chance: Chance) -> Rung:
    """The rung of a model that remembers `kept` of `count` parts, such as symbols, and guesses the others."""
    guessed = count - kept
    accuracy, loss = (kept + guessed * chance.accuracy) / count, guessed * chance.loss / count
    return Rung(f"{kept} of {count} {parts}", accuracy, loss)


def quarters(parts: str, chance: Chance) -> list[Rung]:
    """Rungs of models that remember no part, a quarter, a half, three quarters or all, and guess the others."""
    return [
        Rung(f"{share:.0%} of the {parts}", share + (1 - share) * chance.accuracy, (1 - share) * chance.loss)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]


def height(loss: float, ladder: Sequence[Rung]) -> float:
    """The position of a loss on a ladder, in the unit of the rungs' amounts, or counted in rungs without amounts.

    Interpolated between rungs, never beyond the ends. Of several rungs with the same loss, the lowest counts. A loss
    that is nan has the height nan.
    """
    if math.isnan(loss):
        return math.nan
    amounts = [float(index) if rung.amount is None else rung.amount for index, rung in enumerate(ladder)]
    reached = amounts[0]
    for index in range(1, len(ladder)):
        above, below = ladder[index - 1].loss, ladder[index].loss
        if loss <= below:
            reached = amounts[index] if below < above else reached
        elif loss < above:
            return amounts[index - 1] + (amounts[index] - amounts[index - 1]) * (above - loss) / (above - below)
    return reached
