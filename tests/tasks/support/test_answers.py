"""Answers of several bits, skill between chance and the best loss, and positions on a ladder."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from farback.tasks import Bits, Chance, Rung, Within, skill
from farback.tasks.support.answers import height


def test_scores_of_bits_equal_torch(rng: np.random.Generator) -> None:
    """Values and gradients, also for logits too large for a probability, and at zero."""
    output = torch.from_numpy(4 * rng.standard_normal((50, 9)))
    output[0, :4] = torch.tensor([0.0, 800.0, -800.0, 0.0])
    target = torch.from_numpy(rng.integers(2, size=(50, 9)).astype(np.float64))
    own, others = output.clone().requires_grad_(), output.clone().requires_grad_()
    found = Bits(9).loss(own, target)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(others, target, reduction="none").mean(-1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), own), torch.autograd.grad(expected.sum(), others))
    torch.testing.assert_close(Bits(9).loss(output.view(5, 10, 9), target.view(5, 10, 9)), expected.view(5, 10))


def test_the_share_of_right_bits_is_the_accuracy() -> None:
    output = torch.tensor([[1.0, -1.0, 2.0, -3.0], [0.1, 0.1, 0.1, 0.1]])
    target = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert Bits(4).correct(output, target).tolist() == [0.75, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_non_finite_bit_is_never_right(bad: float) -> None:
    for target in (0.0, 1.0):
        assert Bits(2).correct(torch.tensor([[bad, bad]]), torch.full((1, 2), target)).tolist() == [0.0]


@pytest.mark.parametrize("rate", [0.02, 0.108, 0.5, 0.9])
def test_bits_start_at_the_base_rate(rate: float) -> None:
    assert torch.sigmoid(torch.tensor(Bits(3, rate).start)).item() == pytest.approx(rate)


def test_bits_count_as_remembered_by_skill_not_by_accuracy() -> None:
    """Where a yes is rare, a model that always says no is right 89 % of the time."""
    chance = Chance(0.892, 0.342, 0.121)
    half = (0.342 + 0.121) / 2
    assert Bits(5).remembered(0.0, half - 1e-9, chance)
    assert not Bits(5).remembered(1.0, half + 1e-9, chance)
    assert skill(half, chance) == pytest.approx(0.5)


def test_skill_is_zero_at_chance_and_one_at_the_best_loss() -> None:
    assert [skill(loss, Chance(0.5, 3.0, 1.0)) for loss in (3.0, 2.0, 1.0, 0.0, 5.0)] == [0.0, 0.5, 1.0, 1.5, -1.0]
    assert math.isnan(skill(1.0, Chance(0.5, 1.0, 1.0)))
    assert Within(0.1).remembered(0.0, 2.0, Chance(0.1, 3.0, 1.0))
    assert not Within(0.1).remembered(0.0, 2.1, Chance(0.1, 3.0, 1.0))


def rungs(*losses: float, amounts: tuple[float, ...] = ()) -> list[Rung]:
    return [Rung(str(at), 0.0, loss, amounts[at] if amounts else None) for at, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("loss", "expected"), [(5.0, 0.0), (4.0, 0.0), (3.0, 0.5), (2.0, 1.0), (1.5, 1.5), (1.0, 2.0), (0.3, 2.0)]
)
def test_a_height_is_interpolated_between_rungs_and_ends_with_them(loss: float, expected: float) -> None:
    assert height(loss, rungs(4.0, 2.0, 1.0)) == pytest.approx(expected)
    amounts = (0.0, 10.0, 64.0)
    assert height(loss, rungs(4.0, 2.0, 1.0, amounts=amounts)) == pytest.approx(np.interp(expected, range(3), amounts))


@pytest.mark.parametrize(("loss", "expected"), [(4.0, 0.0), (3.0, 2.5), (2.0, 3.0), (1.5, 4.5), (1.0, 5.0)])
def test_a_plateau_counts_as_its_lower_end(loss: float, expected: float) -> None:
    """Remembering uninformative days gives the same loss as not remembering them."""
    assert height(loss, rungs(4.0, 4.0, 4.0, 2.0, 2.0, 1.0)) == pytest.approx(expected)
