"""Schedules against `torch.optim.lr_scheduler`, and what a config may ask of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from farback import schedules
from farback.schedules import Schedule
from farback.trials.trial import Trial

STEPS, RATE = 40, 0.3
Scheduler = lr_scheduler.LRScheduler


def constant(optimizer: torch.optim.Optimizer, final: float, updates: int) -> Scheduler:
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)


def cosine(optimizer: torch.optim.Optimizer, final: float, updates: int) -> Scheduler:
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=updates, eta_min=final * RATE)


def linear(optimizer: torch.optim.Optimizer, final: float, updates: int) -> Scheduler:
    return lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=final, total_iters=updates)


THEIRS = {"constant": constant, "cosine": cosine, "linear": linear}


def theirs(name: str, final: float, warmup: int) -> list[float]:
    """The rate of every update by torch's schedulers: LinearLR for warm-up, then the schedule, by SequentialLR."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    after = THEIRS[name](optimizer, final, STEPS - warmup)
    if warmup:
        before = lr_scheduler.LinearLR(optimizer, start_factor=1 / (warmup + 1), end_factor=1.0, total_iters=warmup)
        after = lr_scheduler.SequentialLR(optimizer, [before, after], milestones=[warmup])
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        after.step()
    return rates


def test_every_schedule_is_compared_with_torch() -> None:
    assert schedules.names() == sorted(THEIRS)


@pytest.mark.filterwarnings("ignore:The epoch parameter in")  # torch's own SequentialLR calls it so
@pytest.mark.parametrize("warmup", [0, 1, 7, STEPS - 1])
@pytest.mark.parametrize("final", [0.0, 0.25])
@pytest.mark.parametrize("name", THEIRS)
def test_the_rate_of_every_update_equals_torch(name: str, final: float, warmup: int) -> None:
    schedule = schedules.build({"name": name, "warmup": warmup, **({"final": final} if name != "constant" else {})})
    found = [RATE * schedule.factor(count, STEPS) for count in range(1, STEPS + 1)]
    assert found == pytest.approx(theirs(name, final, warmup), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", THEIRS)
def test_rates_rise_during_warmup_then_never_rise_and_are_never_0(name: str) -> None:
    schedule = schedules.build({"name": name, "warmup": 9})
    factors = [schedule.factor(count, STEPS) for count in range(1, STEPS + 1)]
    assert factors[:9] == pytest.approx([n / 10 for n in range(1, 10)])
    assert factors[9] == 1
    assert all(one >= other for one, other in pairwise(factors[9:]))
    assert min(factors) > 0


def trial(**fields: Any) -> Trial:
    return Trial.model_validate({"task": "recall", "lag": 3, "cell": "gru", **fields})


@pytest.mark.parametrize("warmup", [50, 51])
def test_warmup_as_long_as_the_training_is_an_error(warmup: int) -> None:
    with pytest.raises(ValueError, match=f"schedule.warmup is {warmup} but steps is 50"):
        trial(steps=50, schedule={"name": "cosine", "warmup": warmup})


def test_an_untrained_network_may_have_any_warmup() -> None:
    assert trial(steps=0, schedule={"name": "linear", "warmup": 10}).schedule.warmup == 10


@pytest.mark.parametrize(
    "spec", [{"name": "cosine", "final": 1.0}, {"name": "linear", "final": -0.1}, {"name": "constant", "final": 0.1}]
)
def test_a_schedule_that_does_not_fall_or_falls_below_0_is_an_error(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="final"):
        schedules.build(spec)


def test_a_name_alone_is_the_schedule_without_warmup() -> None:
    assert trial(schedule="cosine").schedule == schedules.build({"name": "cosine", "warmup": 0, "final": 0.0})
    assert isinstance(trial().schedule, Schedule)
    assert trial().schedule.name == "constant"
