"""AdamW, schedules, dropout and truncation in training, against plain PyTorch scripts and in the laws of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from plain_script import Script, losses
from torch.optim import lr_scheduler

from farback.training.loop import train
from farback.training.replicas import Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Finished, TrialResult
from farback.trials.trial import Trial

Make = Callable[..., Trial]


def result(trial: Trial) -> TrialResult:
    (ended,) = [event.result for event in train(Cohort.of(trial)) if isinstance(event, Finished)]
    return ended


@pytest.mark.filterwarnings("ignore:The epoch parameter in")  # torch's own SequentialLR calls it so
@pytest.mark.parametrize("cell", ["lstm", "elman"])
def test_adamw_with_warmup_and_cosine_equals_a_plain_pytorch_script(cell: str, trial_of: Make) -> None:
    """The rate of torch's AdamW also scales its weight decay, so a schedule changes both."""
    spec = {"name": "adamw", "lr": 0.05, "weight_decay": 0.5}
    schedule = {"name": "cosine", "warmup": 5, "final": 0.1}
    trial = trial_of(lag=5, cell=cell, depth=2, steps=30, evaluate_every=1, optimizer=spec, schedule=schedule)
    script = Script(trial)
    optimizer = torch.optim.AdamW(script.parameters, lr=0.05, weight_decay=0.5)
    rates: lr_scheduler.LRScheduler = lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, start_factor=1 / 6, total_iters=5),
            lr_scheduler.CosineAnnealingLR(optimizer, T_max=25, eta_min=0.005),
        ],
        milestones=[5],
    )

    def step(count: int) -> None:
        optimizer.step()
        rates.step()

    expected = script.run(step)
    assert losses(result(trial)) == pytest.approx(expected, rel=2e-3)
    assert min(expected) < 0.95 * expected[0]


@pytest.mark.parametrize("schedule", ["cosine", {"name": "constant", "warmup": 3}], ids=str)
def test_a_schedule_changes_training_and_nothing_before_it(schedule: Any, trial_of: Make) -> None:
    plain, scheduled = (result(trial_of(evaluate_every=1, schedule=one)) for one in ("constant", schedule))
    assert losses(plain)[0] == losses(scheduled)[0]
    assert losses(plain)[-1] != losses(scheduled)[-1]


def test_replicas_of_one_cohort_have_their_own_schedules(trial_of: Make) -> None:
    """Also after a replica leaves: the others keep theirs."""
    trials = [trial_of(schedule=name, seed=seed) for seed, name in enumerate(("constant", "linear", "cosine"))]
    assert len({trial.shape for trial in trials}) == 1
    together, alone = Replicas(trials), Replicas(trials[2:])
    for count in range(1, 7):
        if count == 4:
            together.remove([0])
        together.update(count)
        alone.update(count)
    assert torch.equal(together.theta_RP[-1], alone.theta_RP[0])
