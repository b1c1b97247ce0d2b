"""narma, mackey_glass and digits against their definitions and separately computed reference numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from farback import tasks
from farback.measures.retention import retention
from farback.tasks.mackey_glass import integrated
from farback.tasks.narma import simulated
from farback.training.batches import BatchStream, ScoredSteps
from farback.trials.trial import Trial

EQUATION = (17.0, 0.2, 0.1, 10.0)

# NARMA -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 9, 29])
def test_narma_solves_its_equation(lag: int) -> None:
    """y_{t+1} = 0.3 y_t + (0.5 / n) y_t (y_t + ... + y_{t-n+1}) + 1.5 u_{t-n+1} u_t + 0.1; n = 10: 0.05."""
    n = lag + 1
    u, y_next = simulated(np.random.default_rng(0), 4, lag, 6 * n)
    for sequence in range(4):
        y = [math.nan, *y_next[sequence]]  # y[t] is the output before step t
        for t in range(n + 1, 6 * n):
            expected = 0.3 * y[t] + 0.5 / n * y[t] * sum(y[t - i] for i in range(n))
            expected += 1.5 * u[sequence, t - n + 1] * u[sequence, t] + 0.1
            assert y[t + 1] == pytest.approx(expected, rel=1e-9)


def test_narma_s_ladder_has_the_reference_errors_of_linear_models() -> None:
    """Root mean squared errors in standard deviations of y, and chance from fresh data.

    The reference numbers are from one series; the spread between series is about 0.01.
    """
    task = tasks.build({"name": "narma", "asked": 200})
    batch = task.sample(np.random.default_rng(1), 400)
    u, y = batch.input_BTI[:, 9:, 0].numpy().ravel(), batch.target_BT[:, 9:].numpy().ravel()
    linear = task.ladder()[:-1]
    inputs = ["the present input", *(f"linear in the last {m} inputs" for m in (9, 10, 20, 50))]
    assert [rung.remembered for rung in linear] == [*inputs, "linear in the last 50 inputs and in the product"]
    nrmse = [math.sqrt(rung.loss / y.var()) for rung in linear]
    assert nrmse == pytest.approx([0.878, 0.812, 0.603, 0.419, 0.397, 0.272], abs=0.03)
    assert nrmse[1] - nrmse[2] > 0.15  # the memory shows between nine and ten inputs
    fit = np.polyfit(u, y, 1)
    assert ((y - np.polyval(fit, u)) ** 2).mean() == pytest.approx(task.chance().loss, rel=0.04)
    assert fit[0] == pytest.approx(1.5 * 0.25, abs=0.01)  # E[1.5 u_{t-9} u_t | u_t]


def test_narma_does_not_diverge() -> None:
    _, y = simulated(np.random.default_rng(2), 500, 9, 500)
    assert np.abs(y).max() < 2


# Mackey-Glass ----------------------------------------------------------------------------------------------------


def test_mackey_glass_is_integrated_by_runge_kutta() -> None:
    """The classical steps written out, the delayed value in the middle of a step being the mean of its neighbours."""
    _, beta, gamma, power = EQUATION
    h, n = 0.1, 170
    x = [1.3] * (n + 1)

    def slope(value: float, delayed: float) -> float:
        return beta * delayed / (1 + delayed**power) - gamma * value

    for _ in range(400 * 10):
        value, before, after = x[-1], x[-n - 1], x[-n]
        middle = 0.5 * (before + after)
        k1 = slope(value, before)
        k2 = slope(value + 0.5 * h * k1, middle)
        k3 = slope(value + 0.5 * h * k2, middle)
        k4 = slope(value + h * k3, after)
        x.append(value + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    series = integrated(EQUATION, np.array([1.3]), 400)[0]
    assert series == pytest.approx(np.array(x[n + 10 :: 10])[:400], abs=1e-6)


def test_a_history_of_one_stays_one() -> None:
    assert np.array_equal(integrated(EQUATION, np.ones(2), 500), np.ones((2, 500)))


def test_the_series_has_the_reference_moments_and_its_last_value_is_a_poor_forecast() -> None:
    """The error of repeating the last value, in standard deviations, 1, 6 and 84 steps ahead."""
    task = tasks.build({"name": "mackey_glass", "history": 300, "lag": 1})
    value = task.sample(np.random.default_rng(0), 600).input_BTI[:, :300, 0].numpy()
    assert value.mean() == pytest.approx(0.930, abs=0.003)
    assert value.std() == pytest.approx(0.226, abs=0.003)
    assert value.min() == pytest.approx(0.418, abs=0.02)
    assert value.max() == pytest.approx(1.318, abs=0.02)
    for horizon, nrmse in ((1, 0.146), (6, 0.822), (84, 1.634)):
        change = value[:, horizon:] - value[:, :-horizon]
        assert np.sqrt((change**2).mean() / value.var()) == pytest.approx(nrmse, rel=0.01)


@pytest.mark.parametrize(("lag", "history"), [(3, 20), (20, 18), (40, 7)])
@pytest.mark.slow
def test_the_rungs_of_mackey_glass_are_least_squares_on_fresh_data(lag: int, history: int) -> None:
    task = tasks.build({"name": "mackey_glass", "lag": lag, "history": history})
    train, test = (task.sample(np.random.default_rng(seed), 2000) for seed in (0, 1))
    windows = [0, *(m for m in (1, 6, 18) if m <= history)]
    assert len(task.ladder()) == len(windows) + 1
    for m, rung in zip(windows, task.ladder(), strict=False):
        x, x_test = (
            np.column_stack([np.ones(2000), b.input_BTI[:, history - m : history, 0].double().numpy()])
            for b in (train, test)
        )
        y, y_test = (b.target_BT[:, -1].double().numpy() for b in (train, test))
        error = (x_test @ np.linalg.lstsq(x, y, rcond=None)[0] - y_test) ** 2
        assert error.mean() == pytest.approx(rung.loss, abs=5 * error.std() / math.sqrt(2000) + 1e-7)


# Digits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "accuracies"),
    [
        ("rows", [0.370, 0.555, 0.649, 0.737, 0.840, 0.923, 0.984, 0.989]),
        pytest.param(
            "permuted",
            [0.275, 0.599, 0.692, 0.781, 0.908, 0.934, 0.970, 0.989],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_rungs_of_digits_have_the_reference_accuracies(order: str, accuracies: list[float]) -> None:
    """Equal to the reference within the spread between different folds."""
    ladder = tasks.build({"name": "digits", "order": order}).ladder()
    assert [rung.amount for rung in ladder[1:-1]] == [4, 8, 12, 16, 24, 32, 48, 64]
    assert [rung.accuracy for rung in ladder[1:-1]] == pytest.approx(accuracies, abs=0.012)


def test_chance_of_digits_is_the_most_frequent_digit() -> None:
    """The accuracy is 183 / 1797 = 0.1018."""
    assert tasks.build("digits").chance().accuracy == 183 / 1797


def test_training_validation_and_test_use_different_images() -> None:
    images = load_digits()
    index_of = {tuple(image): index for index, image in enumerate(images.data)}
    drawn = {}
    for part in ("train", "validation", "test"):
        x = tasks.build({"name": "digits", "part": part}).sample(np.random.default_rng(0), 8000).input_BTI
        drawn[part] = {index_of[tuple(row)] for row in np.round(16 * x[:, :64, 0].numpy())}
    assert len(set.union(*drawn.values())) == sum(len(part) for part in drawn.values())
    assert len(drawn["train"]) == pytest.approx(0.6 * 1797, abs=20)
    assert len(drawn["test"]) == pytest.approx(0.2 * 1797, abs=10)


def test_training_and_measures_use_these_images() -> None:
    trial = Trial.model_validate({"task": "digits", "lag": 64, "cell": "gru", "batch": 8})
    asked = ScoredSteps.of(trial)
    assert BatchStream([trial], "train", asked, "cpu").task == trial.task
    assert BatchStream([trial], "validation", asked, "cpu").task.part == "validation"
    seen = []

    def system(x_BTI):  # type: ignore[no-untyped-def]
        seen.append(x_BTI)
        return (x_BTI.new_zeros(*x_BTI.shape[:2], 10),) * 2

    retention(system, trial.task, [64], sequences=400)
    shown, own = (
        {tuple(row) for row in x_BTI[..., 0].tolist()}
        for x_BTI in (seen[0], trial.task.held_out("test").sample(np.random.default_rng(0), 6000).input_BTI)
    )
    assert shown <= own


def test_a_task_that_draws_fresh_sequences_is_its_own_held_out_part() -> None:
    task = tasks.build("recall")
    assert task.held_out("test") is task
