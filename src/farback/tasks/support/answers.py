"""What a task asks for at an asked step, how an answer is scored, and what it must reach to count as remembered."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chance:
    """The two ends of a scale: what can be scored without memory, and what can be scored at all.

    Attributes:
        accuracy: of the best guess of a model that remembers nothing, in [0, 1].
        loss: of that guess, in nats or squared error.
        best: the loss of a model that remembers everything; above 0 where the answer itself is partly random.
    """

    accuracy: float
    loss: float
    best: float = 0.0


@dataclass(frozen=True)
class Rung:
    """What partial memory scores: `remembered` says in words what is kept, `amount` how much, where it is a number."""

    remembered: str
    accuracy: float
    loss: float
    amount: float | None = None


class Answer(ABC):
    """The kind of an answer: its outputs, its loss and its score."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that the network puts out at a step."""

    @property
    def start(self) -> float:
        """Where the readout's bias starts, on top of what is drawn: near the answer of a model that knows nothing."""
        return 0.0

    @abstractmethod
    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Loss of each answer; any leading shape in place of N."""

    def slope(self, output_NO: Tensor, target_N: Tensor) -> tuple[Tensor, Tensor]:
        """The losses and their derivatives by the outputs, (N,) and (N, O)."""
        with torch.enable_grad():
            leaf_NO = output_NO.detach().requires_grad_()
            loss_N = self.loss(leaf_NO, target_N)
            (slope_NO,) = torch.autograd.grad(loss_N, [leaf_NO], torch.ones_like(loss_N))
        return loss_N.detach(), slope_NO

    @abstractmethod
    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Whether each answer is right, or the share of it that is."""

    @abstractmethod
    def perfect(self, target_N: Tensor) -> Tensor:
        """The outputs, shape (N, O), of a model that knows the answer for certain."""

    @abstractmethod
    def remembered(self, accuracy: float, loss: float, chance: Chance) -> bool:
        """Whether such scores count as remembered: at least half-way from chance to perfect."""


@dataclass(frozen=True)
class OneOf(Answer):
    """One of several classes: cross-entropy in nats; remembered from accuracy (1 + chance) / 2 on."""

    classes: int

    @property
    def outputs(self) -> int:
        """One logit a class."""
        return self.classes

    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Cross-entropy in nats."""
        log_probability = torch.log_softmax(output_NO, -1)
        return -log_probability.gather(-1, target_N.unsqueeze(-1)).squeeze(-1)

    def slope(self, output_NO: Tensor, target_N: Tensor) -> tuple[Tensor, Tensor]:
        """By hand, since it is asked for in every update: the probabilities, less 1 for the target's."""
        log_probability, place_N1 = torch.log_softmax(output_NO, -1), target_N.unsqueeze(-1)
        loss_N = -log_probability.gather(-1, place_N1).squeeze(-1)
        return loss_N, log_probability.exp_().scatter_add_(-1, place_N1, output_NO.new_full((), -1).expand_as(place_N1))

    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Whether the largest logit is the target's. Non-finite outputs are never right."""
        finite = torch.isfinite(output_NO).all(-1)
        return (output_NO.argmax(-1) == target_N) & finite

    def perfect(self, target_N: Tensor) -> Tensor:
        """Logits so far apart that the cross-entropy is zero in float32."""
        return 200.0 * torch.nn.functional.one_hot(target_N, self.classes).float()

    def remembered(self, accuracy: float, loss: float, chance: Chance) -> bool:
        """By accuracy: an overconfident net that is right counts, one stuck at one of two bits does not."""
        return accuracy >= (1 + chance.accuracy) / 2


@dataclass(frozen=True)
class Within(Answer):
    """A real number: squared error; right within `tolerance`; remembered from R2 = 0.5 on."""

    tolerance: float

    @property
    def outputs(self) -> int:
        """One number."""
        return 1

    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Squared error."""
        return (output_NO.squeeze(-1) - target_N).square()

    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Whether the error is below the tolerance."""
        return (output_NO.squeeze(-1) - target_N).abs() < self.tolerance

    def perfect(self, target_N: Tensor) -> Tensor:
        """The target itself."""
        return target_N.unsqueeze(-1)

    def remembered(self, accuracy: float, loss: float, chance: Chance) -> bool:
        """By the share of the variance that is explained."""
        return loss <= 0.5 * (chance.loss + chance.best)


@dataclass(frozen=True)
class Bits(Answer):
    """Independent yes/no answers, such as the pixels of a map: binary cross-entropy in nats, the mean over the bits.

    The outputs are logits, and the target of an asked step is a row of `count` zeros and ones (float32). Remembered
    from skill 0.5 on: where a yes is rare, a model that always says no is nearly always right.

    Attributes:
        count: how many bits, which is how many outputs.
        rate: how often a bit is one; the readout's bias starts at its logit, so that training begins at the base rate
            instead of spending its first hundreds of updates on finding it.
    """

    count: int
    rate: float = 0.5

    @property
    def outputs(self) -> int:
        """One logit a bit."""
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
        """The share of the bits whose logit has the right sign. Non-finite outputs are never right."""
        right_NO = ((output_NO > 0) == (target_N > 0.5)) & torch.isfinite(output_NO)
        return right_NO.to(output_NO.dtype).mean(-1)

    def perfect(self, target_N: Tensor) -> Tensor:
        """Logits so far from zero that the cross-entropy is zero in float32."""
        return 400.0 * target_N - 200.0

    def remembered(self, accuracy: float, loss: float, chance: Chance) -> bool:
        """By skill."""
        return loss <= 0.5 * (chance.loss + chance.best)


def skill(loss: float, chance: Chance) -> float:
    """0 = chance, 1 = all that memory can give: `(chance - loss) / (chance - best)`; below 0 is worse than guessing."""
    return (chance.loss - loss) / (chance.loss - chance.best) if chance.loss > chance.best else float("nan")


def height(loss: float, ladder: Sequence[Rung]) -> float:
    """How far up a ladder a loss stands: in the rungs' amounts where they have one, else in rungs; between two of them
    by interpolation, and never beyond the ends. A plateau counts as its lower end."""
    amounts = [float(at) if rung.amount is None else rung.amount for at, rung in enumerate(ladder)]
    reached = amounts[0]
    for at in range(1, len(ladder)):
        above, below = ladder[at - 1].loss, ladder[at].loss
        if loss <= below:
            reached = amounts[at] if below < above else reached
        elif loss < above:
            return amounts[at - 1] + (amounts[at] - amounts[at - 1]) * (above - loss) / (above - below)
    return reached
