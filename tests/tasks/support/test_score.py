"""`farback.tasks.score`: the numbers are those of the measure `retention`, of sklearn, and of closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score

from farback import cells, inits, tasks
from farback.measures import retention
from farback.networks.network import Architecture, draw
from farback.tasks import OneOf, Task, Within

Arrays = dict[str, np.ndarray]


def perfect(task: Task, arrays: Arrays) -> np.ndarray:
    """The answers (M, O) of a model that knows them."""
    return task.answer.perfect(torch.from_numpy(arrays["y"][arrays["mask"]])).numpy()


def test_a_network_scores_what_retention_gives(every_task: Task) -> None:
    """By number and by step: the network runs on all sequences at once here, and in parts there."""
    architecture = Architecture(cells.build("gru"), every_task.inputs, 4, every_task.answer.outputs)
    network = draw(architecture, [inits.build("torch")], [0], every_task.lag)
    lags = [max(every_task.least, 1), every_task.lag] if every_task.mixes else [every_task.lag]
    found = retention(network, every_task, lags, sequences=300, seed=2)
    for n, lag in enumerate(found.lag.tolist()):
        arrays = tasks.arrays(every_task, lag, count=300, seed=2, purpose="test")
        with torch.no_grad():
            states_RTBH = network.run(torch.from_numpy(arrays["x"]).transpose(0, 1)[None])[0]
            output = network.readout(states_RTBH.flatten(1, 2))[0].unflatten(0, states_RTBH.shape[1:3]).transpose(0, 1)
        own = tasks.score(every_task, output.numpy(), arrays, lag=lag).by_lag[lag]
        assert own.accuracy == pytest.approx(found.accuracy[n], abs=1e-9)
        assert own.loss == pytest.approx(found.loss[n], rel=1e-5)
        assert own.skill == pytest.approx(found.skill[n], abs=1e-5)
        assert own.remembered == found.remembered[n]


def test_a_model_that_knows_the_answers_is_right_at_every_lag(every_task: Task) -> None:
    arrays = tasks.arrays(every_task, count=100)
    found = tasks.score(every_task, perfect(every_task, arrays), arrays)
    assert (found.accuracy, found.loss) == (1.0, 0.0)
    assert found.remembered
    assert found.skill >= 1  # above 1 where an answer is partly random, and only luck tells it
    assert found.by_lag.keys() == set(arrays["lag"][arrays["mask"]].tolist())
    assert all(scores.accuracy == 1 for scores in found.by_lag.values())


def test_scores_of_classes_are_those_of_sklearn(rng: np.random.Generator) -> None:
    arrays = tasks.arrays("recall", 9, count=500)
    logits, target = rng.normal(size=(500, 4)), arrays["y"][arrays["mask"]]
    found = tasks.score("recall", logits, arrays)
    loss = log_loss(target, softmax(logits, axis=1))
    assert found.loss == pytest.approx(loss)
    assert found.skill == pytest.approx(1 - loss / math.log(4))
    assert found.accuracy == accuracy_score(target, logits.argmax(1))
    assert not found.remembered
    assert vars(found.by_lag[9]) == {name: value for name, value in vars(found).items() if name != "by_lag"}


def test_the_skill_of_numbers_is_r2(rng: np.random.Generator) -> None:
    """The variance of the answers is that of theory, 1; sklearn takes that of the sample."""
    arrays = tasks.arrays("delay", 5, count=2000)
    target = arrays["y"][arrays["mask"]]
    answers = target + rng.normal(0, 0.5, target.shape)
    found = tasks.score("delay", answers, arrays)
    assert found.loss == pytest.approx(mean_squared_error(target, answers))
    assert found.skill == pytest.approx(1 - found.loss)
    assert found.skill == pytest.approx(r2_score(target, answers), abs=0.01)
    assert found.remembered


def test_the_best_guess_without_memory_has_no_skill() -> None:
    recall, adding = tasks.arrays("recall", 9, count=400), tasks.arrays("adding", 9, count=40_000)
    assert tasks.score("recall", np.zeros((400, 4)), recall).skill == pytest.approx(0, abs=1e-6)
    assert tasks.score("adding", np.ones(40_000), adding).skill == pytest.approx(0, abs=0.03)


def test_answers_may_be_given_at_the_asked_steps_or_at_all_steps(every_task: Task) -> None:
    arrays = tasks.arrays(every_task, count=20)
    output = np.random.default_rng(0).normal(size=(*arrays["lag"].shape, every_task.answer.outputs))
    found = tasks.score(every_task, output, arrays)
    forms = [output[arrays["mask"]], torch.tensor(output, requires_grad=True), output[arrays["mask"]].tolist()]
    if every_task.answer.outputs == 1:
        forms += [output[..., 0], output[..., 0][arrays["mask"]]]
    assert all(tasks.score(every_task, form, arrays) == found for form in forms)


def test_probabilities_score_as_their_logits(every_task: Task) -> None:
    if isinstance(every_task.answer, Within):
        return
    arrays = tasks.arrays(every_task, count=20)
    logits = np.random.default_rng(0).normal(size=(int(arrays["mask"].sum()), every_task.answer.outputs))
    p = softmax(logits, axis=1) if isinstance(every_task.answer, OneOf) else expit(logits)
    found = tasks.score(every_task, p, arrays, probabilities=True)
    expected = tasks.score(every_task, logits, arrays)
    assert (found.accuracy, found.remembered) == (expected.accuracy, expected.remembered)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.skill == pytest.approx(expected.skill, abs=1e-6)


def test_certain_probabilities_are_right_where_they_are_right() -> None:
    arrays = tasks.arrays("recall", 9, count=100)
    p = np.eye(4)[arrays["y"][arrays["mask"]]]
    assert tasks.score("recall", p, arrays, probabilities=True).accuracy == 1
    assert tasks.score("recall", p, arrays, probabilities=True).skill == 1
    wrong = tasks.score("recall", np.roll(p, 1, 1), arrays, probabilities=True)
    assert wrong.accuracy == 0
    assert wrong.loss == pytest.approx(-math.log(1e-300))


@pytest.mark.parametrize("task", ["recall", "mackey_glass", {"name": "lightning", "mode": "persistent"}])
def test_where_lags_differ_each_has_the_scores_of_its_own_sequences(task: Any) -> None:
    """Also where chance depends on the lag, and the mean is relative to the mean of the chance levels."""
    arrays = tasks.arrays(task, count=300, lags={"uniform": [1, 6]})
    output = np.random.default_rng(0).normal(size=(300, tasks.build(task).answer.outputs))
    found, lag_N = tasks.score(task, output, arrays), arrays["lag"].max(1)
    assert sorted(found.by_lag) == [1, 2, 3, 4, 5, 6]
    for lag, scores in found.by_lag.items():
        rows = lag_N == lag
        alone = tasks.score(task, output[rows], {name: array[rows] for name, array in arrays.items()})
        assert alone.by_lag == {lag: scores}
        assert alone.skill == scores.skill
    share = {lag: float((lag_N == lag).mean()) for lag in found.by_lag}
    chances = {lag: tasks.build(task).at(lag).chance() for lag in share}
    above, below = (
        sum(share[lag] * (chances[lag].loss - loss(lag)) for lag in share)
        for loss in (lambda lag: found.by_lag[lag].loss, lambda lag: chances[lag].best)
    )
    assert found.skill == pytest.approx(above / below)


def test_answers_that_need_no_memory_do_not_count_beside_others() -> None:
    """The copy task asks for blanks while it shows the symbols (lag 0)."""
    arrays = tasks.arrays("copy", 20, count=50)
    output = perfect(tasks.build("copy"), arrays)
    blank = arrays["y"][arrays["lag"] == 0][0]
    guess = np.where(np.arange(output.shape[1]) == blank, -200, 0)  # every symbol is equally likely
    output[arrays["lag"][arrays["mask"]] > 0] = guess
    found = tasks.score("copy", output, arrays)
    assert found.by_lag[0].accuracy == 1
    assert found.skill == pytest.approx(0, abs=1e-6)


GOOD = tasks.arrays("recall", 9, count=10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "recal"}, "unknown task 'recal'; did you mean 'recall'"),
        ({"answers": np.zeros((10, 3))}, r"must have the shape \(10, 4\).*\(10, 10, 4\) for all steps; got \(10, 3\)"),
        ({"answers": np.zeros(10, dtype=int)}, r"a logit for each class at each asked step.*got \(10,\)"),
        ({"answers": np.full((10, 4), np.nan)}, r"finite; 40 are not, the first is nan at \(0, 0\)"),
        ({"answers": np.full((10, 4), np.inf)}, r"finite; 40 are not, the first is inf"),
        ({"answers": np.array([["a"] * 4] * 10)}, "must be real numbers, got ndarray"),
        ({"answers": np.zeros((10, 4), dtype=complex)}, "must be real numbers"),
        ({"answers": [[0.0] * 4] * 9 + [[0.0]]}, "must be numbers|inhomogeneous"),
        ({"answers": np.full((10, 4), 0.25)}, "probabilities=True"),
        ({"answers": np.full((10, 4), 0.3), "probabilities": True}, "the rows add up to 1.2 to 1.2"),
        ({"answers": np.full((10, 4), -0.5), "probabilities": True}, "between 0 and 1.*answers are -0.5 to -0.5"),
        ({"lag": 8}, "x has 10 steps, but recall at lag 8 has 9"),
        ({"task": {"name": "recall", "lag": 8}}, "x has 10 steps, but recall at lag 8 has 9"),
        ({"task": tasks.build({"name": "recall", "lag": 8})}, "x has 10 steps, but recall at lag 8 has 9"),
        ({"task": {"name": "recall", "symbols": 6}}, r"shape \(N, T, 11\), got \(10, 10, 9\)"),
        ({"arrays": {"x": GOOD["x"]}}, "y and lag is missing"),
        ({"arrays": {**GOOD, "lag": GOOD["lag"][:5]}}, r"lag must have the shape \(10, 10\)"),
        ({"arrays": {**GOOD, "lag": GOOD["lag"] * 0 - 1}}, "no step asks for an answer"),
        ({"arrays": {**GOOD, "y": GOOD["y"] + 4}}, "classes from 0 to 3"),
    ],
)
def test_bad_arguments_are_errors_that_say_what_is_allowed(changes: dict[str, Any], message: str) -> None:
    arguments = {"task": "recall", "answers": np.zeros((10, 4)), "arrays": GOOD, **changes}
    with pytest.raises(ValueError, match=message):
        tasks.score(**arguments)


def test_numbers_are_no_probabilities() -> None:
    arrays = tasks.arrays("adding", 5, count=10)
    with pytest.raises(ValueError, match="answers of adding are numbers"):
        tasks.score("adding", np.ones(10), arrays, probabilities=True)
