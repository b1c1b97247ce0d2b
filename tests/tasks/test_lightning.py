"""Lightning: losses in closed form and by simulation; only the asked day predicts it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from farback import tasks
from farback.records.record import digest
from farback.tasks.lightning import Lightning
from farback.trials.trial import Trial

STAIRS = [0.69160, 0.67027, 0.64812, 0.62500, 0.60072, 0.57500, 0.54745, 0.51746, 0.48395, 0.44472, 0.39260]
OTHERS: list[dict[str, Any]] = [
    {},
    {"strike_rate": 0.3, "hit": 0.75, "miss": 0.1, "lag": 3, "grid": 5},
    {"strike_rate": 0.4, "hit": 0.1, "miss": 0.8, "lag": 2},  # a strike makes the next one less likely
    {"drift": [2, -1], "lag": 4, "grid": 7},
    {"days": 15, "lag": 6},
    {"correlation": 1.5, "lag": 2, "strike_rate": 0.2},
    {"mode": "persistent", "persistence": 0.8, "lag": 3},
    {"mode": "persistent", "persistence": 0.9, "lag": 2, "drift": [0, 1], "strike_rate": 0.3, "days": 9},
    {"mode": "persistent", "persistence": 0.8, "lag": 2, "correlation": 2.0, "strike_rate": 0.3},
    {"mode": "stream", "lag": 2, "asked": 4},
    {"mode": "stream", "lag": 3, "drift": [1, 1], "correlation": 1.0},
    {"mode": "noisy_or"},
    {"mode": "noisy_or", "lag": 4, "weight": [0.9, 0.0, 0.4, 0.2], "miss": 0.1, "strike_rate": 0.3, "drift": [0, 2]},
]


def build(**fields: Any) -> Lightning:
    return tasks.build({"name": "lightning", **fields})


def losses(p: np.ndarray, struck: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -np.log(np.where(struck > 0, p, 1 - p))


def entropy(p: float) -> float:
    """Of a yes/no answer, in nats."""
    return float(stats.bernoulli(p).entropy())


def stairs(task: Lightning) -> list[float]:
    """The losses of the ladder."""
    return [rung.loss for rung in task.ladder()]


def assert_mean(values: np.ndarray, expected: float) -> None:
    """The mean over independent sequences is `expected`, within four standard errors."""
    mean_N = values.reshape(len(values), -1).mean(1, dtype=np.float64)
    assert mean_N.mean() == pytest.approx(expected, abs=4 * mean_N.std() / math.sqrt(len(mean_N)) + 1e-9)


# Closed forms ----------------------------------------------------------------------------------------------------


def test_losses_and_accuracies_in_closed_form() -> None:
    """q, a, b = .1, .9, .02: pi = .108, h(pi) = .342313, L* = .120743 nats; accuracy .892 of "no", .972 of Bayes."""
    task = build()
    assert task.base_rate == pytest.approx(0.108)
    assert task.chance().loss == pytest.approx(0.342313, abs=5e-7)
    assert task.chance().best == pytest.approx(0.120743, abs=5e-7)
    assert task.chance().loss - task.chance().best == pytest.approx(0.221570, abs=5e-7)
    assert task.chance().accuracy == pytest.approx(0.892)
    assert task.ladder()[-1].accuracy == pytest.approx(0.972)


def test_the_noisy_or_ladder_has_the_reference_losses() -> None:
    """Reference losses to five digits; also a noisy-or in which only lag 5 has a weight."""
    assert stairs(build(mode="noisy_or")) == pytest.approx(STAIRS, abs=5e-6)
    single = build(mode="noisy_or", lag=5, weight=[0, 0, 0, 0, 0.9], strike_rate=0.15, miss=0.01)
    assert stairs(single) == pytest.approx([0.41153] * 5 + [0.09603], abs=5e-6)


@pytest.mark.parametrize("weights", [[0.6] * 4, [0.9, 0.1, 0.5], [0.3, 0.0, 0.7, 0.2, 0.99]], ids=str)
def test_the_noisy_or_ladder_is_the_sum_over_every_past(weights: list[float]) -> None:
    """The entropy of Y given the last m days, summed over all 2 ** m of them, with the other days averaged."""
    q, p0 = 0.23, 0.07
    task = build(mode="noisy_or", lag=len(weights), weight=weights, strike_rate=q, miss=p0)
    for m, loss in enumerate(stairs(task)):
        total = 0.0
        for seen in itertools.product((0, 1), repeat=m):
            share, struck = math.prod(q if x else 1 - q for x in seen), 0.0
            for rest in itertools.product((0, 1), repeat=len(weights) - m):
                quiet = (1 - p0) * math.prod(1 - w * x for w, x in zip(weights, (*seen, *rest), strict=True))
                struck += math.prod(q if x else 1 - q for x in rest) * (1 - quiet)
            total += share * entropy(struck)
        assert loss == pytest.approx(total, abs=1e-12)


def test_a_long_noisy_or_ladder_with_different_weights_merges_near_values() -> None:
    """2 ** 24 pasts would not fit into memory."""
    task = build(mode="noisy_or", lag=24, weight=[0.9 - 0.03 * j for j in range(24)], asked=4)
    assert all(above > below for above, below in itertools.pairwise(stairs(task)))
    batch = task.sample(np.random.default_rng(0), 400)
    p = np.stack([task.forecast(x, 24) for x in batch.input_BTI.numpy()])
    assert_mean(losses(p, batch.target_BT[:, 24].numpy()), stairs(task)[-1])


def test_the_last_map_predicts_a_persistent_watch_day() -> None:
    """P(X_s = 1 | X_t = 1) = q + (1 - q) r ** k and P(X_s = 1 | X_t = 0) = q (1 - r ** k)."""
    q, a, b, r, k = 0.2, 0.8, 0.1, 0.7, 3
    task = build(mode="persistent", strike_rate=q, hit=a, miss=b, persistence=r, lag=k)
    expected = sum(
        share * entropy(a * x + b * (1 - x)) for share, x in ((q, q + (1 - q) * r**k), (1 - q, q * (1 - r**k)))
    )
    assert task.chance().loss == pytest.approx(expected, abs=1e-12)
    assert stairs(task)[0] == task.chance().loss
    assert stairs(task)[-1] == pytest.approx(q * entropy(a) + (1 - q) * entropy(b))


# By simulation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", OTHERS, ids=str)
def test_the_best_forecast_scores_the_best_loss_and_the_base_rate_its_entropy(fields: dict[str, Any]) -> None:
    task = build(**fields)
    batch = task.sample(np.random.default_rng(1), 3000)
    first = [int(step) for step in (batch.lag_BT >= 0).int().argmax(1)]
    p = np.stack([task.forecast(x, step) for x, step in zip(batch.input_BTI.numpy(), first, strict=True)])
    struck = np.stack([y[step] for y, step in zip(batch.target_BT.numpy(), first, strict=True)])
    assert_mean(struck, task.base_rate)
    assert_mean(losses(p, struck), task.chance().best)
    assert_mean(((p > 0.5) == (struck > 0)).astype(float), task.ladder()[-1].accuracy)
    assert_mean(losses(np.full_like(struck, task.base_rate), struck), entropy(task.base_rate))
    assert_mean(batch.input_BTI.numpy()[..., : task.grid**2], task.strike_rate)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_memory_of_some_pixels_scores_its_rung(share: float) -> None:
    task = build(lag=3)
    (rung,) = (rung for rung in task.ladder() if rung.amount == share)
    batch = task.sample(np.random.default_rng(2), 4000)
    x, struck = batch.input_BTI[:, 0, :36].numpy(), batch.target_BT[:, -1].numpy()
    p = np.where(np.arange(36) < share * 36, np.where(x > 0, task.hit, task.miss), task.base_rate)
    assert_mean(losses(p, struck), rung.loss)
    assert_mean(((p > 0.5) == (struck > 0)).astype(float), rung.accuracy)


@pytest.mark.parametrize("m", [0, 1, 3, 5])
def test_a_memory_of_the_last_m_days_scores_its_rung(m: int) -> None:
    q, p0, w, lag = 0.2, 0.05, 0.5, 5
    task = build(mode="noisy_or", lag=lag, weight=w, strike_rate=q, miss=p0, asked=1)
    batch = task.sample(np.random.default_rng(3), 6000)
    seen = batch.input_BTI.numpy()[:, lag - m : lag].sum(1)
    p = 1 - (1 - p0) * (1 - w) ** seen * (1 - w * q) ** (lag - m)
    assert_mean(losses(p, batch.target_BT[:, lag].numpy()), task.ladder()[m].loss)
    assert_mean(((p > 0.5) == (batch.target_BT[:, lag].numpy() > 0)).astype(float), task.ladder()[m].accuracy)


@pytest.mark.parametrize("correlation", [0.0, 2.0])
@pytest.mark.parametrize("m", [0, 2, 3])
def test_a_memory_of_the_days_after_the_watch_day_scores_its_rung(m: int, correlation: float) -> None:
    q, a, b, r, lag = 0.3, 0.9, 0.05, 0.7, 3
    task = build(mode="persistent", strike_rate=q, hit=a, miss=b, persistence=r, lag=lag, correlation=correlation)
    batch = task.sample(np.random.default_rng(4), 6000)
    seen = batch.input_BTI.numpy()[:, lag - m, :36]
    watch = np.where(seen > 0, q + (1 - q) * r ** (lag - m), q * (1 - r ** (lag - m)))
    assert_mean(losses(a * watch + b * (1 - watch), batch.target_BT[:, lag].numpy()), task.ladder()[m].loss)


@pytest.mark.parametrize("correlation", [0.5, 1.0, 3.0])
def test_patches_keep_the_rate_and_correlate_neighbours(correlation: float) -> None:
    task = build(correlation=correlation, strike_rate=0.15, grid=12)
    maps = task.sample(np.random.default_rng(5), 1500).input_BTI[..., :-1].numpy().reshape(-1, 12, 12)
    assert_mean(maps, 0.15)
    beside = np.corrcoef(maps.ravel(), np.roll(maps, 1, -1).ravel())[0, 1]
    around = np.corrcoef(maps[:, :, 0].ravel(), maps[:, :, -1].ravel())[0, 1]  # across the edge of the torus
    assert beside > 0.05
    assert around == pytest.approx(beside, abs=0.03)
    days = np.corrcoef(maps[:-1].ravel(), maps[1:].ravel())[0, 1]
    assert days == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("correlation", [0.0, 1.0])
def test_patches_persist_as_a_whole_and_single_pixels_alone(correlation: float) -> None:
    """A whole map stays with probability r, single pixels with r + (1 - r) (q ** 2 + (1 - q) ** 2) each."""
    task = build(mode="persistent", persistence=0.6, correlation=correlation, strike_rate=0.3, lag=1, grid=12)
    x_BTI = task.sample(np.random.default_rng(11), 4000).input_BTI[..., :-1].numpy()
    same_B = (x_BTI[:, 0] == x_BTI[:, 1]).all(1)
    assert_mean(same_B.astype(float), 0.6 if correlation else (0.6 + 0.4 * (0.3**2 + 0.7**2)) ** 144)


def test_only_the_keys_of_persistent_patches_changed_since_release_01() -> None:
    def digest_of_release_01(**fields: Any) -> str:
        task = build(mode="persistent", **fields)
        return digest({name: value for name, value in task.digested().items() if name in ("version", *task.spec())})

    assert build(mode="persistent").digest() == digest_of_release_01()
    assert build(mode="persistent", correlation=1.0).digest() != digest_of_release_01(correlation=1.0)


@pytest.mark.parametrize("drift", [(0, 1), (1, 0), (-2, 1)])
def test_the_answer_is_the_asked_day_moved_by_the_drift(drift: tuple[int, int]) -> None:
    """With hit 1 and miss 0 the answer is the map itself: Y(p) = X(p - d)."""
    task = build(hit=1.0, miss=0.0, drift=drift, lag=4, grid=5)
    batch = task.sample(np.random.default_rng(6), 20)
    for x, y in zip(batch.input_BTI.numpy(), batch.target_BT.numpy(), strict=True):
        shown, asked = x[0, :25].reshape(5, 5), y[4].reshape(5, 5)
        for row, column in itertools.product(range(5), repeat=2):
            assert asked[row, column] == shown[(row - drift[0]) % 5, (column - drift[1]) % 5]


def test_a_single_number_is_a_drift_along_the_rows() -> None:
    assert build(drift=2) == build(drift=(0, 2))


# No leaks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [{}, {"mode": "stream"}, {"correlation": 1.0}, {"drift": [0, 1]}, {"mode": "stream", "correlation": 1.0}],
    ids=str,
)
def test_no_other_day_predicts_the_answer(fields: dict[str, Any]) -> None:
    """A logistic regression on all pixels of all other days has no skill."""
    task = build(lag=3, grid=4, strike_rate=0.3, hit=0.8, miss=0.1, **fields)
    train, test = (task.sample(np.random.default_rng(seed), 6000) for seed in (7, 8))

    def features(batch: Any) -> np.ndarray:
        return batch.input_BTI.numpy()[:, 1:4, :16].reshape(len(batch.input_BTI), -1)

    pixel = 5
    y, y_test = (batch.target_BT[:, 3, pixel].numpy() for batch in (train, test))
    p = LogisticRegression(C=0.1).fit(features(train), y).predict_proba(features(test))[:, 1]
    loss = losses(p, y_test)
    assert loss.mean() > task.chance().loss - 4 * loss.std() / math.sqrt(len(loss))


@pytest.mark.parametrize("fields", [{}, {"correlation": 1.5}, {"mode": "stream"}], ids=str)
def test_all_pixels_of_all_days_predict_no_better_than_the_best_forecast(fields: dict[str, Any]) -> None:
    task = build(lag=2, grid=4, strike_rate=0.3, hit=0.8, miss=0.1, **fields)
    train, test = (task.sample(np.random.default_rng(seed), 8000) for seed in (9, 10))
    x, x_test = (batch.input_BTI.numpy()[:, :3].reshape(8000, -1) for batch in (train, test))
    y, y_test = (batch.target_BT[:, 2, 6].numpy() for batch in (train, test))
    loss = losses(LogisticRegression(C=0.3).fit(x, y).predict_proba(x_test)[:, 1], y_test)
    assert loss.mean() > task.chance().best - 4 * loss.std() / math.sqrt(len(loss))
    assert loss.mean() < 0.5 * (task.chance().best + task.chance().loss)  # the asked day predicts most of it


# Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"days": 10, "lag": 10}, "days is 10"),
        ({"days": 20, "mode": "stream"}, "days is 20"),
        ({"mode": "noisy_or", "weight": [0.5, 0.5]}, "weight lists 2 numbers, but needs one for each of 10 days"),
        ({"mode": "noisy_or", "weight": 0.0}, "nothing to remember"),
        ({"hit": 0.3, "miss": 0.3}, "nothing to remember"),
        ({"drift": [1, 2, 3]}, "at most 2"),
        ({"strike_rate": 0.0}, "greater than 0"),
    ],
    ids=str,
)
def test_invalid_settings_are_errors(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**fields)
    with pytest.raises(ValueError, match=message):
        Trial.model_validate({"task": {"name": "lightning", "lag": 10, **fields}, "cell": "gru"})
