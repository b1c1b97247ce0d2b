"""Optimizers over replicas against `torch.optim` for each replica; clipping against `clip_grad_norm_`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from farback.optimizers import Optimizer, clipped, stacked
from farback.optimizers.adam import Adam
from farback.optimizers.adamw import AdamW
from farback.optimizers.rmsprop import RMSprop
from farback.optimizers.sgd import SGD
from farback.trials.trial import Trial

RATES = (1e-3, 3e-2, 0.2)
RULES: list[tuple[type[Optimizer], dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = [
    (Adam, {}, torch.optim.Adam, {}),
    (Adam, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-4}, torch.optim.Adam, {"betas": (0.5, 0.9), "eps": 1e-4}),
    (AdamW, {}, torch.optim.AdamW, {}),
    (AdamW, {"weight_decay": 0.7, "beta2": 0.9}, torch.optim.AdamW, {"weight_decay": 0.7, "betas": (0.9, 0.9)}),
    (SGD, {}, torch.optim.SGD, {}),
    (SGD, {"momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    (RMSprop, {}, torch.optim.RMSprop, {}),
    (
        RMSprop,
        {"momentum": 0.7, "alpha": 0.9, "eps": 1e-6},
        torch.optim.RMSprop,
        {"momentum": 0.7, "alpha": 0.9, "eps": 1e-6},
    ),
]
IDS = [f"{rule.__name__} {options}" for rule, options, _, _ in RULES]


def start(dtype: torch.dtype) -> Tensor:
    return torch.randn(3, 11, dtype=dtype, generator=torch.Generator().manual_seed(0))


def slope(theta: Tensor, target: Tensor) -> Tensor:
    """The gradient of a loss that is not quadratic, but so smooth that rounding errors do not grow."""
    return theta - target + torch.sin(theta)


def updated(rules: list[Optimizer], theta_RP: Tensor, target_RP: Tensor, updates: int) -> Tensor:
    theta_RP = theta_RP.clone()
    moments, stack = type(rules[0]).moments(theta_RP), stacked(rules, theta_RP)
    for count in range(1, updates + 1):
        type(rules[0]).update(theta_RP, slope(theta_RP, target_RP), moments, stack, count)
    return theta_RP


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("rule", "options", "theirs", "their_options"), RULES, ids=IDS)
def test_twenty_updates_equal_torch_for_each_replica(
    rule: type[Optimizer],
    options: dict[str, Any],
    theirs: type[torch.optim.Optimizer],
    their_options: dict[str, Any],
    dtype: torch.dtype,
) -> None:
    target = start(dtype).flip(1)
    found = updated([rule(lr=rate, **options) for rate in RATES], start(dtype), target, 20)
    for r, rate in enumerate(RATES):
        theta = start(dtype)[r].clone().requires_grad_()
        optimizer = theirs([theta], lr=rate, **their_options)
        for _ in range(20):
            theta.grad = slope(theta.detach(), target[r])
            optimizer.step()
        tolerance = 2e-4 if dtype is torch.float32 else 1e-10
        torch.testing.assert_close(found[r], theta.detach(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("rule", "theirs"),
    [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW), (RMSprop, torch.optim.RMSprop)],
)
def test_the_defaults_except_the_learning_rate_equal_torch(
    rule: type[Optimizer], theirs: type[torch.optim.Optimizer]
) -> None:
    defaults = theirs([torch.zeros(1, requires_grad=True)]).defaults
    found = rule().model_dump()
    assert found["eps"] == defaults["eps"]
    assert [v for k, v in found.items() if k.startswith("beta")] == list(defaults.get("betas", ()))
    assert found.get("alpha") == defaults.get("alpha")
    assert found.get("momentum", 0) == defaults.get("momentum", 0)
    assert found.get("weight_decay", 0) == defaults.get("weight_decay", 0)


@pytest.mark.parametrize(("rule", "options", "theirs", "their_options"), RULES, ids=IDS)
def test_the_update_of_a_replica_does_not_depend_on_the_others(
    rule: type[Optimizer], options: dict[str, Any], theirs: object, their_options: object
) -> None:
    rules: list[Optimizer] = [rule(lr=rate, **options) for rate in RATES]
    target = start(torch.float32).flip(1)
    packed = updated(rules, start(torch.float32), target, 20)
    for r in range(3):
        alone = updated([rules[r]], start(torch.float32)[[r]], target[[r]], 20)
        assert torch.equal(alone[0], packed[r])


def test_without_weight_decay_adamw_is_adam_to_the_last_bit() -> None:
    target = start(torch.float32).flip(1)
    plain = updated([Adam(lr=rate) for rate in RATES], start(torch.float32), target, 20)
    assert torch.equal(
        updated([AdamW(lr=rate, weight_decay=0.0) for rate in RATES], start(torch.float32), target, 20), plain
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(("rule", "options", "theirs", "their_options"), RULES, ids=IDS)
def test_a_non_finite_gradient_changes_only_its_replica(
    rule: type[Optimizer], options: dict[str, Any], theirs: object, their_options: object, bad: float
) -> None:
    rules: list[Optimizer] = [rule(lr=rate, **options) for rate in RATES]
    target = start(torch.float32).flip(1)
    good = updated(rules, start(torch.float32), target, 3)
    target[1, 4] = bad
    spoilt = updated(rules, start(torch.float32), target, 3)
    assert torch.equal(spoilt[[0, 2]], good[[0, 2]])
    assert not torch.isfinite(spoilt[1]).all()


# Clipping --------------------------------------------------------------------------------------------------------


def limits(*values: float) -> Tensor:
    return torch.tensor([[value] for value in values])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_clipping_equals_torch_for_each_replica(scale: float) -> None:
    grad = start(torch.float32) * scale
    found, norm = clipped(grad, limits(0.1, 1.0, 7.0))
    for r, limit in enumerate((0.1, 1.0, 7.0)):
        theta = torch.zeros(11, requires_grad=True)
        theta.grad = grad[r].clone()
        expected = torch.nn.utils.clip_grad_norm_([theta], limit)
        torch.testing.assert_close(norm[r], expected)
        torch.testing.assert_close(found[r], theta.grad)
        assert found[r].norm() <= limit * (1 + 1e-6)


def test_the_norm_is_over_all_parameters_at_once() -> None:
    """One norm for all tensors, as in `clip_grad_norm_`."""
    grad = torch.tensor([[3.0, 0.0, 4.0]])
    tensors = [torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)]
    tensors[0].grad, tensors[1].grad = grad[0, :2].clone(), grad[0, 2:].clone()
    torch.nn.utils.clip_grad_norm_(tensors, 1.0)
    found, norm = clipped(grad, limits(1.0))
    assert norm.item() == 5.0
    torch.testing.assert_close(found[0], torch.cat([t.grad for t in tensors if t.grad is not None]))


def test_an_infinite_limit_changes_nothing() -> None:
    grad = start(torch.float32) * 1e6
    assert torch.equal(clipped(grad, limits(*[math.inf] * 3))[0], grad)


def test_a_gradient_within_its_limit_is_not_changed() -> None:
    grad = start(torch.float32)
    assert torch.equal(clipped(grad, limits(1e3, 1e3, 1e3))[0], grad)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_clipping_a_non_finite_gradient_changes_only_its_replica(bad: float) -> None:
    grad = start(torch.float32) * 10
    good, good_norm = clipped(grad, limits(1.0, 1.0, 1.0))
    grad[1, 2] = bad
    found, norm = clipped(grad, limits(1.0, 1.0, 1.0))
    assert torch.equal(found[[0, 2]], good[[0, 2]])
    assert torch.equal(norm[[0, 2]], good_norm[[0, 2]])
    assert not torch.isfinite(norm[1])


# Records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "adam", "lr": 0},
        {"name": "adam", "lr": -0.001},
        {"name": "adam", "beta1": 1.0},
        {"name": "sgd", "momentum": 1.0},
        {"name": "adam", "momentum": 0.9},
        {"name": "adamw", "weight_decay": -0.1},
        {"name": "adam", "weight_decay": 0.1},
        {"name": "lion"},
        {"name": "sgd", "lr": float("nan")},
        {"lr": 0.001},
    ],
    ids=str,
)
def test_invalid_optimizers_are_errors(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Trial.model_validate({"task": "recall", "lag": 3, "cell": "gru", "optimizer": spec})


def test_a_bare_name_stands_for_the_defaults() -> None:
    trial = Trial.model_validate({"task": "recall", "lag": 3, "cell": "gru", "optimizer": "rmsprop"})
    assert trial.optimizer == RMSprop()
