"""What a task asks for at an asked step, how an answer is scored, and what it must reach to count as remembered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chance:
    """The best guess of a model that remembers nothing: `accuracy` in [0, 1], `loss` in nats or squared error."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Rung:
    """What partial memory scores: `remembered` says in words what is kept."""

    remembered: str
    accuracy: float
    loss: float


class Answer(ABC):
    """The kind of an answer: its outputs, its loss and its score."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers that the network puts out at a step."""

    @abstractmethod
    def loss(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Loss of each answer; any leading shape in place of N."""

    @abstractmethod
    def correct(self, output_NO: Tensor, target_N: Tensor) -> Tensor:
        """Whether each answer is right."""

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
        return loss <= 0.5 * chance.loss


def skill(loss: float, chance: Chance) -> float:
    """0 = chance, 1 = perfect: `1 - loss / chance loss`; below 0 is worse than guessing."""
    return 1.0 - loss / chance.loss if chance.loss > 0 else float("nan")
