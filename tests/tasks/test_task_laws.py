"""Laws of every task: a new file in `farback/tasks` is tested without further work."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression

from farback import tasks
from farback.tasks import Batch, Bits, OneOf, Task, Within, skill
from farback.tasks.support.scores import scored_steps
from named_alone import named_alone

ANSWERS = 4000  # to fit and to score: standard errors near 0.007
SEQUENCES = 1000  # at least, if a sequence asks several times
BITS = 9  # fitted at most


def draw(task: Task, size: int, seed: int = 0, lag_B: np.ndarray | None = None) -> Batch:
    return task.sample(np.random.default_rng(seed), size, lag_B)


def mixed(task: Task, size: int) -> np.ndarray:
    """Lags from the smallest to the task's own, each of them present."""
    return np.resize(np.arange(task.least, task.lag + 1), size)


def smallest(task: Task) -> Task:
    return task.at(max(task.least, 1))


# Shapes and determinism ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7])
def test_shapes_and_types(every_task: Task, size: int) -> None:
    for task in (every_task, smallest(every_task)):
        x_BTI, target_BT, lag_BT = draw(task, size)
        assert x_BTI.shape == (size, x_BTI.shape[1], task.inputs)
        assert x_BTI.dtype == torch.float32
        bits = (task.answer.count,) if isinstance(task.answer, Bits) else ()
        assert lag_BT.shape == x_BTI.shape[:2]
        assert target_BT.shape == (*lag_BT.shape, *bits)
        assert lag_BT.dtype == torch.int64
        assert target_BT.dtype == (torch.int64 if isinstance(task.answer, OneOf) else torch.float32)
        assert torch.isfinite(x_BTI).all()
        if isinstance(task.answer, OneOf):
            assert task.answer.outputs == task.answer.classes
            assert 0 <= int(target_BT.min()) <= int(target_BT.max()) < task.answer.classes
        if bits:
            assert set(target_BT.unique().tolist()) == {0.0, 1.0}


def test_every_sequence_asks_and_no_lag_reaches_before_the_first_step(every_task: Task) -> None:
    lag_BT = draw(every_task, 200).lag_BT
    assert (lag_BT > 0).any(1).all()
    assert (lag_BT >= -1).all()
    assert (lag_BT <= torch.arange(lag_BT.shape[1])).all()


def test_where_nothing_is_asked_the_target_is_zero(every_task: Task) -> None:
    batch = draw(every_task, 200)
    assert (batch.target_BT[batch.lag_BT < 0] == 0).all()


def test_equal_generators_give_equal_data_and_others_do_not(every_task: Task) -> None:
    first, second, other = draw(every_task, 50, 1), draw(every_task, 50, 1), draw(every_task, 50, 2)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first.input_BTI, other.input_BTI)


def test_a_second_draw_from_one_generator_gives_other_data(every_task: Task) -> None:
    rng = np.random.default_rng(0)
    assert not torch.equal(every_task.sample(rng, 50).input_BTI, every_task.sample(rng, 50).input_BTI)


def test_global_generators_are_untouched(
    every_task: Task, global_generators_untouched: Callable[[], AbstractContextManager[None]]
) -> None:
    with global_generators_untouched():
        draw(every_task, 20)


def test_the_outcome_does_not_depend_on_global_generators(every_task: Task) -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global generator must not matter
    first = draw(every_task, 20)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(first, draw(every_task, 20), strict=True))


# Lags ------------------------------------------------------------------------------------------------------------


def test_at_changes_the_lag_and_nothing_else(every_task: Task) -> None:
    other = every_task.at(every_task.lag + 5)
    assert type(other) is type(every_task)
    assert {**other.spec(), "lag": every_task.lag} == every_task.spec()
    assert other.lag == every_task.lag + 5
    assert other.at(every_task.lag) == every_task


def test_a_larger_lag_asks_further_back(every_task: Task) -> None:
    near, far = every_task, every_task.at(every_task.lag * 3)
    assert draw(far, 200).lag_BT.max() > draw(near, 200).lag_BT.max()


def test_an_impossible_lag_is_an_error_that_names_the_smallest(every_task: Task) -> None:
    every_task.at(every_task.least)
    if every_task.least:
        with pytest.raises(ValueError, match=rf"lag is {every_task.least - 1}.*{every_task.least} or more"):
            every_task.at(every_task.least - 1)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        every_task.at(-1)


def test_each_sequence_of_a_mixed_batch_has_its_own_lag(every_task: Task) -> None:
    """Sequences of one lag in a mixed batch ask over the same range as the task at that lag; or mixing is an error."""
    lag_B = mixed(every_task, 1500)
    if not every_task.mixes:
        with pytest.raises(ValueError, match="cannot be mixed"):
            draw(every_task, 1500, 0, lag_B)
        return
    lag_BT = draw(every_task, 1500, 0, lag_B).lag_BT
    assert lag_BT.shape[1] == draw(every_task, 1).lag_BT.shape[1]
    for lag in (every_task.least, (every_task.least + every_task.lag) // 2, every_task.lag):
        rows = lag_BT[torch.from_numpy(lag_B == lag)]
        alone = draw(every_task.at(lag), 300, 1).lag_BT
        assert (rows[:, alone.shape[1] :] == -1).all()
        for part in (0, 1):  # the asked steps and the lags that they need have the same distribution
            a, b = (torch.stack([(x >= 0).nonzero()[:, 1], x[x >= 0]])[part].numpy() for x in (rows, alone))
            assert stats.ks_2samp(a, b).pvalue > 1e-6
            assert len(a) / len(rows) == pytest.approx(len(b) / len(alone), rel=0.1)


def test_lags_all_equal_to_the_lag_of_the_task_change_nothing(every_task: Task) -> None:
    plain, given = draw(every_task, 30), draw(every_task, 30, 0, np.full(30, every_task.lag))
    assert all(torch.equal(a, b) for a, b in zip(plain, given, strict=True))


@pytest.mark.parametrize("off", [1, -1])
def test_a_lag_that_the_task_cannot_have_is_an_error(every_task: Task, off: int) -> None:
    lag_B = np.full(5, every_task.lag)
    lag_B[3] = every_task.lag + 1 if off > 0 else every_task.least - 1
    with pytest.raises(ValueError, match="lag_B must hold 5 lags between"):
        draw(every_task, 5, 0, lag_B)


def test_another_number_of_lags_than_sequences_is_an_error(every_task: Task) -> None:
    with pytest.raises(ValueError, match="lag_B must hold 6 lags"):
        draw(every_task, 6, 0, np.full(5, every_task.lag))


# Chance, ladder, perfection --------------------------------------------------------------------------------------


def test_the_ladder_climbs_from_chance_to_the_best(every_task: Task) -> None:
    chance, ladder = every_task.chance(), every_task.ladder()
    assert (ladder[0].accuracy, ladder[0].loss) == pytest.approx((chance.accuracy, chance.loss), abs=1e-12)
    if chance.best == 0:
        assert (ladder[-1].accuracy, ladder[-1].loss) == (1.0, 0.0)
    else:  # the answer is partly random, so that even everything remembered is not enough
        assert ladder[-1].loss == pytest.approx(chance.best, abs=1e-12)
        assert chance.accuracy < ladder[-1].accuracy < 1
    assert all(low.accuracy <= high.accuracy + 1e-12 for low, high in itertools.pairwise(ladder))
    assert all(low.loss > high.loss for low, high in itertools.pairwise(ladder))
    assert len({rung.remembered for rung in ladder}) == len(ladder)
    assert 0 <= chance.accuracy < 1
    assert 0 < chance.loss < math.inf


def test_a_perfect_answer_has_skill_and_accuracy_one(every_task: Task) -> None:
    batch = draw(every_task, 300)
    target_N = batch.target_BT[batch.lag_BT >= 0]
    output_NO = every_task.answer.perfect(target_N)
    assert output_NO.shape == (len(target_N), every_task.answer.outputs)
    accuracy = float(every_task.answer.correct(output_NO, target_N).double().mean())
    loss = float(every_task.answer.loss(output_NO, target_N).double().mean())
    assert accuracy == 1.0
    assert loss == 0.0
    assert (skill(loss, every_task.chance()) == 1.0) is (every_task.chance().best == 0)
    assert every_task.answer.remembered(accuracy, loss, every_task.chance())
    best = every_task.ladder()[-1]
    assert skill(best.loss, every_task.chance()) == pytest.approx(1.0)
    assert every_task.answer.remembered(best.accuracy, best.loss, every_task.chance())


def test_chance_is_not_remembering(every_task: Task) -> None:
    chance = every_task.chance()
    assert skill(chance.loss, chance) == 0.0
    assert not every_task.answer.remembered(chance.accuracy, chance.loss, chance)


def scored(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every asked step that needs memory: the step, the present input, the answer."""
    asked = int(scored_steps(draw(task, 1)).sum())
    batch = draw(task, ANSWERS if asked == 1 else max(SEQUENCES, ANSWERS // asked), seed)
    needed = scored_steps(batch)
    step_N = needed.nonzero()[:, 1].numpy()
    return step_N, batch.input_BTI[needed].numpy().astype(np.float64), batch.target_BT[needed].numpy()


def contexts(step_N: np.ndarray, x_NI: np.ndarray, known: dict[tuple[float, ...], int]) -> np.ndarray:
    """A number for each (step, present input), entered into an empty table `known`; -1 if a filled table lacks it."""
    new = not known
    keys = [(float(step), *row) for step, row in zip(step_N, x_NI, strict=True)]
    return np.array([known.setdefault(key, len(known)) if new or key in known else -1 for key in keys])


def test_the_best_predictor_without_memory_scores_chance(every_task: Task) -> None:
    """The predictor is fitted on one sample and scored on another: a table over the step and the present input.

    For real answers it is least squares on the present input. If the present input, the step or the frequency of the
    answers revealed anything more, its score would be above chance; if the chance level were too good, below.
    """
    chance = every_task.chance()
    (step_N, x_NI, target_N), (test_step_N, test_x_NI, test_target_N) = scored(every_task, 3), scored(every_task, 4)
    if isinstance(every_task.answer, Within):
        design, test_design = (np.column_stack([np.ones(len(x)), x]) for x in (x_NI, test_x_NI))
        weight, *_ = np.linalg.lstsq(design, target_N, rcond=None)
        error_N = test_design @ weight - test_target_N
        loss_N, right_N, fitted = error_N**2, np.abs(error_N) < every_task.answer.tolerance, design.shape[1]
    elif isinstance(every_task.answer, OneOf):
        known: dict[tuple[float, ...], int] = {}
        context_N = contexts(step_N, x_NI, known)
        test_context_N = contexts(test_step_N, test_x_NI, known)
        classes = every_task.answer.classes
        count_CK = np.zeros((len(known) + 1, classes))
        np.add.at(count_CK, (context_N, target_N), 1.0)
        met_K = count_CK.sum(0) > 0  # a class that is never the answer gets probability 0
        count_CK = (count_CK + met_K / met_K.sum()) / (count_CK.sum(1, keepdims=True) + 1)
        p_NK = count_CK[test_context_N]
        loss_N = -np.log(p_NK[np.arange(len(test_target_N)), test_target_N])
        right_N, fitted = p_NK.argmax(1) == test_target_N, len(known) * (int(met_K.sum()) - 1)
    elif isinstance(every_task.answer, Bits):  # a logistic regression for each of some bits
        target_N, test_target_N = (t[:, :: max(1, t.shape[1] // BITS)] for t in (target_N, test_target_N))
        p_NC = np.stack(
            [LogisticRegression(C=0.1).fit(x_NI, bit_N).predict_proba(test_x_NI)[:, 1] for bit_N in target_N.T],
            1,
        )
        loss_N = -np.log(np.where(test_target_N > 0, p_NC, 1 - p_NC)).mean(1)
        right_N, fitted = ((p_NC > 0.5) == (test_target_N > 0)).mean(1), x_NI.shape[1]
    else:
        pytest.skip(f"no memoryless predictor is written for answers of type {type(every_task.answer).__name__}")
    error = loss_N.std() / math.sqrt(len(loss_N))
    excess = fitted * loss_N.mean() / len(step_N)  # of the loss, roughly, by overfitting
    assert loss_N.mean() == pytest.approx(chance.loss, abs=4 * error + excess + 1e-4)
    error = math.sqrt(chance.accuracy * (1 - chance.accuracy) / len(right_N))
    assert right_N.mean() == pytest.approx(chance.accuracy, abs=4 * error)


# Identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", named_alone(tasks))
def test_a_task_with_its_defaults_given_is_the_same_task(name: str) -> None:
    fields = {field: info.default for field, info in tasks.FAMILY.plugin(name).model_fields.items()}
    assert tasks.build({**fields, "name": name}).digest() == tasks.build(name).digest()


def test_every_field_is_part_of_the_identity(every_task: Task) -> None:
    assert every_task.at(every_task.lag + 1).digest() != every_task.digest()
    default = tasks.build(every_task.name)
    assert (every_task.digest() == default.digest()) == (every_task == default)
