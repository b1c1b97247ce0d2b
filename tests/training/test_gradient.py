"""Losses and gradients from flat parameters: equal to autograd, and independent of the size of groups."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from farback import cells, encoders, tasks
from farback.training import gradient
from farback.training.batches import BatchStream, CohortBatch, ScoredSteps
from farback.training.replicas import initial_network
from farback.trials.trial import Trial

CELLS = ["elman", "gru", "lstm", "mgu", "echo_state"]
TASKS = [{"name": "recall", "lag": 7}, {"name": "adding", "lag": 7}, {"name": "flipflop", "lag": 7}]
PAIRS = [*((cell, TASKS[0]) for cell in CELLS), *(("gru", task) for task in TASKS[1:])]
FORMS = [{"depth": 2}, {"initial_state": "learned"}, {"bidirectional": True}]


def example(cell: str, task: dict[str, object], **fields: object) -> tuple[Trial, Tensor, ScoredSteps, CohortBatch]:
    trials = [
        Trial(task=tasks.build(task), lag=task["lag"], cell=cells.build(cell), hidden=5, batch=4, seed=seed, **fields)
        for seed in range(5)
    ]
    theta = torch.cat([value.flatten(1) for value in initial_network(trials).parameters.values()], 1)
    scored = ScoredSteps.of(trials[0])
    return trials[0], theta, scored, BatchStream(trials, "train", scored, "cpu").next()


@pytest.mark.parametrize(("cell", "task"), PAIRS, ids=str)
def test_the_gradient_equals_that_of_autograd(cell: str, task: dict[str, object]) -> None:
    trial, theta, scored, batch = example(cell, task)
    leaf = theta.clone().requires_grad_()
    parts = torch.split(leaf, [value[0].numel() for value in initial_network([trial]).parameters.values()], 1)
    network = gradient.network(trial.architecture, theta)
    for (name, value), part in zip(list(network.parameters.items()), parts, strict=True):
        assert torch.equal(value, part.view(value.shape))
        network.parameters[name] = part.view(value.shape)
    expected = scored.loss(network, batch)
    (slope,) = torch.autograd.grad(expected.sum(), leaf)
    loss, found = gradient.gradient(trial.architecture, theta, scored, batch)
    torch.testing.assert_close(loss, expected.detach())
    for name, (shape, _, start) in trial.architecture.layout.items():
        columns = slice(start, start + torch.Size(shape).numel())
        theirs = torch.zeros_like(slope[:, columns]) if name in trial.architecture.frozen else slope[:, columns]
        torch.testing.assert_close(found[:, columns], theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("cell", "fields"), [*((cell, {}) for cell in CELLS), *(("gru", f) for f in FORMS)], ids=str)
def test_groups_change_no_bit(cell: str, fields: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    trial, theta, scored, batch = example(cell, TASKS[0], **fields)
    whole = gradient.gradient(trial.architecture, theta, scored, batch)
    for size in (1, 3):
        monkeypatch.setattr(gradient, "group", lambda *_, size=size: size)
        for ours, theirs in zip(gradient.gradient(trial.architecture, theta, scored, batch), whole, strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("task", [{"name": "recall", "lag": 300}, {"name": "assoc", "lag": 300}], ids=str)
@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_a_small_memory_changes_no_bit(cell: str, task: dict[str, object]) -> None:
    trial, theta, scored, batch = example(cell, task)
    whole = gradient.gradient(trial.architecture, theta, scored, batch)
    found = gradient.gradient(trial.architecture, theta, scored, batch, gradient.Options(memory=1))
    for ours, theirs in zip(found, whole, strict=True):
        assert torch.equal(ours, theirs)


def test_a_group_stays_below_the_memory_bound() -> None:
    trial, _, _, batch = example("lstm", TASKS[0])
    large = batch._replace(x_RTBI=torch.empty(1, 500, 128, 9).expand(8, -1, -1, -1))
    assert gradient.group(trial.architecture, large) >= 8
    wide = Trial(task=trial.task, lag=7, cell=trial.cell, hidden=128, encoder=encoders.build("identity")).architecture
    assert gradient.group(wide, large) == 1
    module = Trial(task=trial.task, lag=7, cell={"name": "module", "class": "torch.nn:LSTM"}).architecture
    assert gradient.group(module, batch) == 1  # modules run one by one, and a pass reuses the memory of the last one


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["name"])
def test_the_slope_of_an_answer_is_its_derivative(task: dict[str, object]) -> None:
    trial, _, scored, batch = example("elman", task)
    shape = (*batch.index_RN.shape, trial.architecture.outputs)
    output = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = batch.target_RN if batch.target_RN.dtype is torch.int64 else batch.target_RN.double()
    expected = scored.answer.loss(output, target)
    (slope,) = torch.autograd.grad(expected.sum(), output)
    found = scored.answer.slope(output.detach(), target)
    torch.testing.assert_close(found, (expected.detach(), slope))
