"""`farback.tasks.arrays`: the sequences are those that a trial is trained, validated and tested on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farback import tasks
from farback.measures import retention
from farback.tasks import Batch, Bits, OneOf, Task
from farback.training.batches import VALIDATION, BatchStream, CohortBatch, ScoredSteps
from farback.trials.trial import Trial

MIXED = {"log_uniform": [2, 12]}


def trial(task: Task, **fields: Any) -> Trial:
    given = {"task": task.spec(), "cell": {"name": "elman"}, "hidden": 2, "seed": 3, **fields}
    return Trial.model_validate(given)


def stacked(one: Trial, arrays: dict[str, np.ndarray]) -> CohortBatch:
    """The arrays as the batch of one network."""
    return ScoredSteps.of(one).stacked([Batch(*(torch.from_numpy(arrays[name]) for name in ("x", "y", "lag")))])


def assert_equal(first: CohortBatch, second: CohortBatch) -> None:
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def rows(arrays: dict[str, np.ndarray], part: slice) -> dict[str, np.ndarray]:
    return {name: array[part] for name, array in arrays.items()}


@pytest.mark.parametrize("purpose", ["train", "validation", "test"])
def test_arrays_have_the_shapes_and_types_of_the_task(every_task: Task, purpose: Any) -> None:
    x, y, lag, mask = (tasks.arrays(every_task, count=5, purpose=purpose)[name] for name in ("x", "y", "lag", "mask"))
    example = every_task.sample(np.random.default_rng(0), 5)
    for array, tensor in ((x, example.input_BTI), (y, example.target_BT), (lag, example.lag_BT)):
        assert isinstance(array, np.ndarray)
        assert (array.shape, array.dtype) == (tuple(tensor.shape), tensor.numpy().dtype)
    assert y.ndim == (3 if isinstance(every_task.answer, Bits) else 2)
    assert (y.dtype == np.int64) == isinstance(every_task.answer, OneOf)
    assert mask.dtype == bool
    assert (mask == (lag >= 0)).all()


def test_train_arrays_are_the_batches_that_a_trial_is_trained_on(every_task: Task) -> None:
    one = trial(every_task)
    batches = BatchStream([one], "train", ScoredSteps.of(one), "cpu")
    count = batches.block + 2  # batches, so that the second draw is reached
    found = tasks.arrays(every_task, count=32 * count, seed=3)
    for n in range(count):
        assert_equal(stacked(one, rows(found, slice(32 * n, 32 * n + 32))), batches.next())


@pytest.mark.parametrize("lags", [MIXED, {"uniform": [2, 12]}, {"curriculum": [2, 12]}])
def test_train_arrays_of_mixed_lags_are_the_batches_that_a_trial_is_trained_on(lags: Any) -> None:
    one = trial(tasks.build("recall").at(12), train_lags=lags, steps=20)
    batches = BatchStream([one], "train", ScoredSteps.of(one), "cpu")
    found = tasks.arrays("recall", count=32 * 20, seed=3, lags=lags)
    for n in range(20):
        assert_equal(stacked(one, rows(found, slice(32 * n, 32 * n + 32))), batches.next())


@pytest.mark.parametrize("lags", ["fixed", MIXED])
def test_validation_arrays_are_the_sequences_that_a_trial_is_validated_on(lags: Any) -> None:
    one = trial(tasks.build({"name": "recall", "lag": 12}), train_lags=lags)
    batches = BatchStream([one], "validation", ScoredSteps.of(one), "cpu")
    found = tasks.arrays("recall", 12, count=VALIDATION, seed=3, purpose="validation", lags=lags)
    assert_equal(stacked(one, found), batches.validation())


def test_test_arrays_are_the_sequences_that_retention_tests_on(every_task: Task) -> None:
    """A model that knows the answers of these arrays by heart, and no others, is right on all that retention draws."""
    arrays = tasks.arrays(every_task, count=700, seed=3, purpose="test")
    assert (arrays["lag"] == every_task.lag).any(1).all()
    output_NTO = every_task.answer.perfect(torch.from_numpy(arrays["y"]))
    known = {row.tobytes(): output_TO for row, output_TO in zip(arrays["x"], output_NTO, strict=True)}
    nothing = torch.zeros_like(output_NTO[0])

    def network(x_BTI: Tensor) -> Tensor:
        return torch.stack([known.get(row.numpy().tobytes(), nothing) for row in x_BTI])

    assert retention(network, every_task, [every_task.lag], sequences=700, seed=3).accuracy.tolist() == [1.0]
    if len(known) > 4:  # recall without noise has four sequences in all
        assert retention(network, every_task, [every_task.lag], sequences=700, seed=4).accuracy[0] < 1


def test_the_first_training_sequences_of_many_are_those_of_few() -> None:
    few, many = (tasks.arrays("adding", 20, count=count) for count in (10, 1500))
    assert all(np.array_equal(few[name], many[name][:10]) for name in few)
    assert [len(array) for array in (*few.values(), *many.values())] == [10] * 4 + [1500] * 4


def test_purposes_and_seeds_differ_and_equal_arguments_give_equal_arrays() -> None:
    drawn = [
        tasks.arrays("recall", 30, count=200, seed=seed, purpose=purpose)["x"].tobytes()
        for seed in (0, 1)
        for purpose in ("train", "validation", "test")
        for _ in range(2)
    ]
    assert drawn[::2] == drawn[1::2]
    assert len(set(drawn)) == 6


def test_the_images_of_a_finite_task_are_apart() -> None:
    """Equal images in two parts of the data set would be one image in both."""
    shown = [
        {row.tobytes() for row in tasks.arrays("digits", count=3000, purpose=purpose)["x"]}
        for purpose in ("train", "validation", "test")
    ]
    assert min(map(len, shown)) > 300
    assert sum(map(len, shown)) == len(set.union(*shown))


@pytest.mark.parametrize("purpose", ["train", "validation", "test"])
def test_mixed_lags_are_padded_to_the_largest(purpose: Any) -> None:
    found = tasks.arrays("recall", count=2000, purpose=purpose, lags={"uniform": [1, 8]})
    assert found["x"].shape == (2000, 9, 9)
    assert (found["mask"].sum(1) == 1).all()
    lag, step = found["lag"].max(1), found["mask"].argmax(1)
    assert (lag == step).all()
    counts = np.bincount(lag, minlength=9)
    assert counts[0] == 0
    assert counts[1:] == pytest.approx([250] * 8, abs=5 * 250**0.5)


def test_a_task_may_be_given_with_its_lag() -> None:
    by_lag = tasks.arrays("recall", 7, count=3)["x"]
    for task in ({"name": "recall", "lag": 7}, tasks.build({"name": "recall", "lag": 7})):
        assert np.array_equal(tasks.arrays(task, count=3)["x"], by_lag)
    assert np.array_equal(tasks.arrays(tasks.build("recall"), np.int64(7), count=3)["x"], by_lag)
    assert tasks.arrays({"name": "recall", "symbols": 6}, 7, count=3)["x"].shape == (3, 8, 11)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "recal"}, "unknown task 'recal'; did you mean 'recall'"),
        ({"task": {"name": "recall", "symbls": 3}}, "symbls"),
        ({"lag": -1}, "greater than or equal to 0"),
        ({"lag": 2.5}, "integer"),
        ({"task": "adding", "lag": 1}, "needs a lag of 2 or more"),
        ({"task": {"name": "recall", "lag": 5}, "lag": 6}, "lag is 6 and the lag of the task is 5"),
        ({"count": 0}, "count must be a whole number of 1 or more, got 0"),
        ({"count": 1.5}, "count must be a whole number of 1 or more, got 1.5"),
        ({"seed": -1}, "seed must be a whole number of 0 or more, got -1"),
        ({"purpose": "testing"}, "purpose must be one of train, validation, test, got 'testing'"),
        ({"lags": "mixed"}, "fixed"),
        ({"lags": {"uniform": [8, 2]}}, r"\[smallest, largest\], got \[8, 2\]"),
        ({"lags": {"normal": [2, 8]}}, "log_uniform"),
        ({"lags": {"uniform": [1, 8]}, "lag": 9}, "lag is 9 but lags end at 8"),
        ({"task": "nback", "lags": {"uniform": [1, 8]}}, "so lags must be fixed"),
        ({"task": "adding", "lags": {"uniform": [1, 8]}}, "needs a lag of 2 or more"),
    ],
)
def test_bad_arguments_are_errors_that_say_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.arrays(**{"task": "recall", **arguments})


def test_global_generators_are_untouched(
    global_generators_untouched: Callable[[], AbstractContextManager[None]],
) -> None:
    with global_generators_untouched():
        tasks.arrays("recall", count=20, lags={"uniform": [1, 8]})
