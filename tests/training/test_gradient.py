"""Losses and gradients from flat parameters: by hand as by autograd, in groups as at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from farback import cells, encoders, tasks
from farback.training import gradient
from farback.training.batches import Asked, Data, Questions
from farback.training.replicas import drawn
from farback.trials.trial import Trial

CELLS = ["elman", "gru", "lstm", "mgu", "echo_state"]
TASKS = [{"name": "recall", "lag": 7}, {"name": "adding", "lag": 7}, {"name": "flipflop", "lag": 7}]


def given(cell: str, task: dict[str, object], **fields: object) -> tuple[Trial, Tensor, Asked, Questions]:
    trials = [
        Trial(task=tasks.build(task), lag=7, cell=cells.build(cell), hidden=5, batch=4, seed=seed, **fields)
        for seed in range(5)
    ]
    theta = torch.cat([value.flatten(1) for value in drawn(trials).parameters.values()], 1)
    asked = Asked.of(trials[0])
    return trials[0], theta, asked, Data(trials, "train", asked, "cpu").next()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["name"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_that_of_autograd(cell: str, task: dict[str, object]) -> None:
    trial, theta, asked, questions = given(cell, task)
    leaf = theta.clone().requires_grad_()
    parts = torch.split(leaf, [value[0].numel() for value in drawn([trial]).parameters.values()], 1)
    network = gradient.network(trial.architecture, theta)
    for (name, value), part in zip(list(network.parameters.items()), parts, strict=True):
        assert torch.equal(value, part.view(value.shape))
        network.parameters[name] = part.view(value.shape)
    expected = asked.loss(network, questions)
    (slope,) = torch.autograd.grad(expected.sum(), leaf)
    loss, found = gradient.gradient(trial.architecture, theta, asked, questions)
    torch.testing.assert_close(loss, expected.detach())
    for name, (shape, _, start) in trial.architecture.layout.items():
        columns = slice(start, start + torch.Size(shape).numel())
        theirs = torch.zeros_like(slope[:, columns]) if name in trial.architecture.frozen else slope[:, columns]
        torch.testing.assert_close(found[:, columns], theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fields", [{}, {"depth": 2}, {"initial_state": "learned"}, {"bidirectional": True}])
@pytest.mark.parametrize("cell", CELLS)
def test_groups_change_no_bit(cell: str, fields: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    trial, theta, asked, questions = given(cell, TASKS[0], **fields)
    whole = gradient.gradient(trial.architecture, theta, asked, questions)
    for size in (1, 2, 4):
        monkeypatch.setattr(gradient, "group", lambda *_, size=size: size)
        for ours, theirs in zip(gradient.gradient(trial.architecture, theta, asked, questions), whole, strict=True):
            assert torch.equal(ours, theirs)


def test_a_group_keeps_less_than_the_bound() -> None:
    trial, _, _, questions = given("lstm", TASKS[0])
    large = questions._replace(x_RTBI=torch.empty(1, 500, 128, 9).expand(8, -1, -1, -1))
    assert gradient.group(trial.architecture, large) >= 8
    wide = Trial(task=trial.task, lag=7, cell=trial.cell, hidden=128, encoder=encoders.build("identity")).architecture
    assert gradient.group(wide, large) == 1


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["name"])
def test_the_slope_of_an_answer_is_its_derivative(task: dict[str, object]) -> None:
    trial, _, asked, questions = given("elman", task)
    shape = (*questions.index_RN.shape, trial.architecture.outputs)
    output = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = questions.target_RN if questions.target_RN.dtype is torch.int64 else questions.target_RN.double()
    expected = asked.answer.loss(output, target)
    (slope,) = torch.autograd.grad(expected.sum(), output)
    found = asked.answer.slope(output.detach(), target)
    torch.testing.assert_close(found, (expected.detach(), slope))
