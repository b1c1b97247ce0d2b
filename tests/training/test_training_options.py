"""AdamW, schedules, dropout and truncation in training, against plain PyTorch scripts and in the laws of training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from plain_script import Script, losses
from torch.optim import lr_scheduler

from farback import inits
from farback.cells import Cell
from farback.networks.network import draw
from farback.training import dropout
from farback.training.loop import fingerprint, train
from farback.training.replicas import Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Finished, TrialResult
from farback.trials.trial import Trial

Make = Callable[..., Trial]
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


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


# Dropout ---------------------------------------------------------------------------------------------------------


def adam(script: Script) -> Callable[[int], None]:
    optimizer = torch.optim.Adam(script.parameters, lr=1e-3)

    def step(count: int) -> None:
        optimizer.step()

    return step


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_dropout_between_layers_equals_a_plain_pytorch_script(cell: str, trial_of: Make) -> None:
    """Three single layers of torch.nn, with the outputs of all but the top one times the masks of the update."""
    trial = trial_of(cell=cell, depth=3, lag=4, steps=18, evaluate_every=1, dropout=0.4)
    script = Script(trial)
    net, (*_, hidden) = script.net, (trial.task.inputs, trial.hidden)

    def forward(count: int, x_TBI: torch.Tensor) -> torch.Tensor:
        masks = dropout.layer_masks([trial], count, *x_TBI.shape[:2])
        for depth in range(3):
            single = type(net)(x_TBI.shape[-1], hidden)
            own = {f"{name}_l0": getattr(net, f"{name}_l{depth}") for name in NAMES}
            x_TBI = torch.func.functional_call(single, own, (x_TBI,))[0]
            x_TBI = x_TBI * masks[depth][0] if depth < 2 else x_TBI
        return x_TBI

    expected = script.run(adam(script), forward)
    assert losses(result(trial)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("cell", ["lstm", "elman"])
def test_recurrent_dropout_equals_a_plain_pytorch_script(cell: str, trial_of: Make) -> None:
    """The recurrent weights times the mask of the update, in all layers; gradients of dropped weights are 0."""
    trial = trial_of(cell=cell, depth=2, lag=4, steps=18, evaluate_every=1, recurrent_dropout=0.4)
    script = Script(trial)
    layout = trial.architecture.layout

    def forward(count: int, x_TBI: torch.Tensor) -> torch.Tensor:
        mask_RP = dropout.weight_mask([trial], count)
        assert mask_RP is not None
        own = dict(script.net.named_parameters())
        for name, (shape, _, start) in layout.items():
            factors = mask_RP[0, start : start + math.prod(shape)].view(shape)
            if name.startswith("weight_hh"):
                own[name] = own[name] * factors
            else:
                assert bool((factors == 1).all())
        output: torch.Tensor = torch.func.functional_call(script.net, own, (x_TBI,))[0]
        return output

    expected = script.run(adam(script), forward)
    assert losses(result(trial)) == pytest.approx(expected, rel=1e-3)


def test_masks_have_the_probability_and_the_mean_of_dropout(trial_of: Make) -> None:
    """Shares within five standard errors; torch's own dropout has the same two values."""
    trial = trial_of(depth=2, hidden=64, dropout=0.3, recurrent_dropout=0.3)
    (mask,) = dropout.layer_masks([trial], 1, 50, 32)
    weights = dropout.weight_mask([trial], 1)
    assert weights is not None
    start = trial.architecture.layout["weight_hh_l0"][2]
    for values in (mask.flatten(), weights[0, start : start + 64 * 64]):
        assert set(values.unique().tolist()) == set(torch.dropout(torch.ones(99), 0.3, True).unique().tolist())
        assert float((values == 0).float().mean()) == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / values.numel()))


def test_masks_differ_between_updates_and_seeds_and_not_between_calls(trial_of: Make) -> None:
    def drawn(seed: int, count: int) -> bytes:
        trial = trial_of(depth=2, dropout=0.5, recurrent_dropout=0.5, seed=seed)
        weights = dropout.weight_mask([trial], count)
        assert weights is not None
        return dropout.layer_masks([trial], count, 3, 4)[0].numpy().tobytes() + weights.numpy().tobytes()

    assert len({drawn(seed, count) for seed in (0, 1) for count in (1, 2)}) == 4
    assert drawn(0, 1) == drawn(0, 1)


@pytest.mark.parametrize("fields", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}], ids=str)
def test_dropout_changes_training_but_not_data_or_evaluation(fields: dict[str, Any], trial_of: Make) -> None:
    plain, dropped = trial_of(depth=2), trial_of(depth=2, **fields)
    assert fingerprint(plain) == fingerprint(dropped)
    cohorts = [Replicas([plain]), Replicas([dropped])]
    assert cohorts[0].validated(0) == cohorts[1].validated(0)
    for cohort in cohorts:
        cohort.update(1)
    assert not torch.equal(cohorts[0].theta_RP, cohorts[1].theta_RP)


def test_dropout_is_part_of_the_key(trial_of: Make) -> None:
    assert len({trial_of(depth=2, dropout=rate).key for rate in (0.0, 0.1, 0.2)} | {trial_of(depth=2).key}) == 3


def test_dropout_without_a_layer_or_a_weight_to_act_on_is_an_error(trial_of: Make) -> None:
    with pytest.raises(ValueError, match="dropout acts between layers but depth is 1"):
        trial_of(dropout=0.1)
    for cell in ("lru", "echo_state"):
        with pytest.raises(ValueError, match=f"recurrent_dropout acts on the weights weight_hh, but {cell}"):
            trial_of(cell=cell, recurrent_dropout=0.1)
    with pytest.raises(ValueError, match="less than 1"):
        trial_of(depth=2, dropout=1.0)


# Truncated back-propagation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("truncate", [1, 3, 4])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_truncation_equals_a_plain_pytorch_script_that_detaches_the_state(
    cell: str, truncate: int, trial_of: Make
) -> None:
    """Of 12 steps, in stretches of `truncate`."""
    trial = trial_of(cell=cell, depth=2, lag=11, steps=18, evaluate_every=1, truncate=truncate)
    script = Script(trial)

    def forward(count: int, x_TBI: torch.Tensor) -> torch.Tensor:
        assert len(x_TBI) == 12
        outputs, state = [], None
        for part in x_TBI.split(truncate):
            output, state = script.net(part, state)
            state = tuple(value.detach() for value in state) if isinstance(state, tuple) else state.detach()
            outputs.append(output)
        return torch.cat(outputs)

    expected = script.run(adam(script), forward)
    assert losses(result(trial)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("truncate", [1, 4, 7, 9])
def test_a_gradient_reaches_exactly_the_steps_of_the_last_stretch(
    truncate: int, every_cell: Cell, trial_of: Make
) -> None:
    """Ten steps, with the loss at the last one: an input has a gradient if it is one of the last `truncate` steps."""
    architecture = trial_of(cell=every_cell, hidden=18).architecture
    network = dataclasses.replace(draw(architecture, [inits.build("torch")], [0], 3), truncate=truncate)
    x_RTBI = torch.randn(1, 10, 2, architecture.inputs, generator=torch.Generator().manual_seed(0)).requires_grad_()
    full = dataclasses.replace(network, truncate=None)
    slopes = []
    for own in (network, full):
        output = own.run(x_RTBI)[0][:, -1]
        slopes.append(torch.autograd.grad(output.square().sum(), x_RTBI, allow_unused=True)[0][0].abs().sum((1, 2)))
    cut, whole = slopes
    assert not cut[: 10 - truncate].any()
    torch.testing.assert_close(cut[10 - truncate :], whole[10 - truncate :])


def test_truncation_changes_no_output(every_cell: Cell, trial_of: Make) -> None:
    """Outputs of carried states equal those of the whole sequence, so only gradients differ."""
    trial = trial_of(cell=every_cell, hidden=18, depth=2, truncate=3)
    network = Replicas([trial]).network()
    x_RTBI = torch.randn(1, 11, 2, trial.task.inputs, generator=torch.Generator().manual_seed(0))
    index_RN = torch.tensor([[0, 5, 21]])
    for index in (None, index_RN):
        cut = dataclasses.replace(network, truncate=3).run(x_RTBI, index_RN=index)[0]
        torch.testing.assert_close(cut, network.run(x_RTBI, index_RN=index)[0])


def test_a_stretch_as_long_as_the_sequence_truncates_nothing(trial_of: Make) -> None:
    whole, cut = (result(trial_of(depth=2, truncate=steps)) for steps in (None, 4))
    assert losses(whole).tolist() == losses(cut).tolist()


def test_a_learned_initial_state_gets_no_gradient_beyond_the_first_stretch(trial_of: Make) -> None:
    trial = trial_of(lag=5, initial_state="learned", truncate=2)
    cohort = Replicas([trial])
    before = {name: value.clone() for name, value in cohort.network().parameters.items()}
    cohort.update(1)
    after = cohort.network().parameters
    assert torch.equal(after["initial.0_l0"], before["initial.0_l0"])
    assert not torch.equal(after["weight_hh_l0"], before["weight_hh_l0"])
