"""Retention with a limit: lags double until the network fails, bisection narrows the horizon, memory stays constant."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from test_retention import oracle, ring_buffer
from torch import Tensor, nn

from farback import cells, inits, tasks
from farback.measures import retention
from farback.measures.known.systems import Latch
from farback.measures.retention import PART_NUMBERS, WHOLE_LIMIT, RetentionMeasure, _scores_in_parts, next_lag
from farback.networks.network import Architecture, draw
from farback.stats import Horizon
from farback.tasks.hold import Hold

LATCH = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})


class Stateful(nn.Module):
    """The latch, with the state of `torch.nn.RNN` as second argument and second result."""

    def __init__(self) -> None:
        super().__init__()
        self.latch = Latch(2.2)

    def forward(self, x_BTI: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        state_BT1, last = self.latch.rnn(x_BTI.double(), state)
        return 40 * torch.cat([state_BT1, -state_BT1], -1), last


class Leak:
    """Writes on the flag of `hold` and then shrinks by `keep` at each step; counts the numbers that it sees at once."""

    def __init__(self, keep: float) -> None:
        self.keep, self.most = keep, 0

    def __call__(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.most = max(self.most, x_BTI.numel())
        value_B = torch.zeros(len(x_BTI)) if state_BS is None else state_BS[:, 0]
        values = []
        for x_BI in x_BTI.unbind(1):
            value_B = torch.where(x_BI[:, 1] > 0, x_BI[:, 0], self.keep * value_B)
            values.append(value_B)
        state_BTS = torch.stack(values, 1)[..., None]
        return state_BTS, state_BTS


@pytest.mark.parametrize("truth", [0, 1, 2, 7, 19, 20, 21, 333, 5000, 70_000, 99_999, 100_000, 10**6])
def test_the_search_ends_within_ten_percent_of_any_horizon(truth: int) -> None:
    passed = {20: truth >= 20}
    while (lag := next_lag(passed, 1, 100_000)) is not None:
        assert lag not in passed
        assert 1 <= lag <= 100_000
        passed[lag] = truth >= lag
    low = max((lag for lag in passed if passed[lag]), default=0)
    high = min((lag for lag in passed if not passed[lag]), default=math.inf)
    if truth >= 100_000:
        assert (low, high) == (100_000, math.inf)
    else:
        assert low <= truth < high
        assert high <= max(1.1 * low, low + 1)
    assert len(passed) <= 20


def test_no_lag_below_the_smallest_of_the_task_is_tested() -> None:
    assert next_lag({20: False}, 15, 1000) == 15
    assert next_lag({15: False, 20: False}, 15, 1000) is None
    assert next_lag({}, 1, 1000) is None


@pytest.mark.parametrize("slots", [3, 12, 50])
def test_a_register_of_n_slots_has_a_horizon_between_n_minus_one_and_n(slots: int) -> None:
    task = tasks.build("recall")
    found = retention(ring_buffer(task, slots), task, [5], 300, limit=1000)
    assert found.horizon.low <= slots - 1 < found.horizon.high <= max(found.horizon.low + 1, 1.1 * found.horizon.low)


def test_a_leaky_number_has_the_horizon_of_the_closed_form() -> None:
    """After k steps a^k u is left, so that R2 = 1 - (1 - a^k)^2, which is a half at k = ln(1 - sqrt(1/2)) / ln a."""
    keep = 0.999
    half = math.log(1 - math.sqrt(0.5)) / math.log(keep)
    found = retention(Leak(keep), tasks.build("hold"), [20], 300, limit=100_000)
    assert 0.93 * half < found.horizon.low < found.horizon.high < 1.07 * half * 1.1
    assert found.horizon.high <= 1.1 * found.horizon.low
    expected = 1 - (1 - keep ** found.lag.astype(float)) ** 2
    assert found.skill == pytest.approx(expected, abs=0.1)


def test_a_latch_reaches_the_limit_in_parts_whatever_the_form_of_its_state() -> None:
    found = retention(Stateful(), LATCH, [5], 20, limit=20_000)
    assert found.horizon == Horizon(20_000, math.inf)
    assert found.accuracy.tolist() == [1.0] * len(found.lag)


def test_without_a_state_to_carry_whole_sequences_are_run_up_to_a_bound() -> None:
    task = tasks.build("recall")
    found = retention(oracle(task), task, [5000], 4, limit=100_000)
    assert found.horizon == Horizon(WHOLE_LIMIT, math.inf)
    bidirectional = Architecture(cells.build("gru"), task.inputs, 8, 4, bidirectional=True)
    network = draw(bidirectional, [inits.build("torch")], [0], 5)
    assert retention(network, task, [4], 100, limit=1000).horizon.high <= 4


@pytest.mark.parametrize("name", ["hold", "match"])
def test_the_memory_of_a_long_test_does_not_grow_with_the_lag(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks.build(name)
    sizes: list[int] = []

    def system(x_BTI: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        sizes.append(x_BTI.numel())
        output = torch.zeros(*x_BTI.shape[:2], task.answer.outputs)
        return output, torch.zeros(len(x_BTI), 1)

    if name == "hold":
        monkeypatch.setattr(Hold, "sample_exact", lambda *_: pytest.fail("a whole sequence was drawn"))
        monkeypatch.setattr(Hold, "sample_in_parts", _counted(Hold.sample_in_parts, sizes))
    _scores_in_parts(system, task.at(30_000), 64, 0)
    assert max(sizes) <= PART_NUMBERS


def test_a_long_lag_of_the_list_is_tested_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[RetentionMeasure.__module__], "LONG", 200)
    whole = Hold.sample

    def sample(task: Hold, *arguments: Any) -> Any:
        assert task.lag <= 200
        return whole(task, *arguments)

    monkeypatch.setattr(Hold, "sample", sample)
    found = retention(Leak(0.999), tasks.build("hold"), [20, 400], 200)
    assert found.skill == pytest.approx(1 - (1 - 0.999 ** found.lag.astype(float)) ** 2, abs=0.1)


def _counted(draw: Any, sizes: list[int]) -> Any:
    def counted(*arguments: Any) -> Any:
        for batch in draw(*arguments):
            sizes.append(batch.input_BTI.numel())
            yield batch

    return counted


@pytest.mark.parametrize("cell", ["gru", "lstm", "lru"])
def test_scores_in_parts_equal_scores_on_whole_sequences(cell: str) -> None:
    """On a task whose sequences are drawn whole, both use the same sequences."""
    task = tasks.build({"name": "match", "lag": 300})
    network = draw(Architecture(cells.build(cell), task.inputs, 8, 2), [inits.build("torch")], [0], 5)
    whole = retention(network, task, [300], 64)
    parts = retention(network, task, [600], 64, limit=600)
    assert parts.loss[parts.lag == 300] == pytest.approx(whole.loss, rel=1e-5)


def test_without_a_limit_nothing_changes() -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    plain = RetentionMeasure(lags=(2,), sequences=100)
    limited = RetentionMeasure(lags=(2,), sequences=100, limit=40)
    assert "limit" not in plain.digested()
    assert plain.digest() != limited.digest()
    network = ring_buffer(task, 6)
    fewer, more = (set(measure.rows(network, task, [0], lambda: network)[0]) for measure in (plain, limited))
    assert fewer < more
    assert {row.lag for row in more} == {2, 5, 6, 7, 10}
    assert limited.live(sorted(more)) == {"horizon": 5.0}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "nback", "lag": 3}, "nback asks another question at each lag"),
        ({"name": "recall", "lag": 3, "length": 50}, "no room for a lag of 1000"),
    ],
    ids=str,
)
def test_a_limit_that_the_task_cannot_have_is_an_error(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetentionMeasure(limit=1000).check(tasks.build(spec))


def test_a_lag_at_which_nothing_is_asked_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of a plug-in whose answers never need exactly the lag: no row, and an unknown horizon."""
    task = tasks.build({"name": "recall", "lag": 5})
    whole = type(task).sample_exact

    def off(self: Any, rng: np.random.Generator, size: int) -> Any:
        batch = whole(self, rng, size)
        return batch._replace(lag_BT=torch.where(batch.lag_BT > 0, batch.lag_BT - 1, batch.lag_BT))

    monkeypatch.setattr(type(task), "sample_exact", off)
    network = ring_buffer(task, 12)
    found = retention(network, task, [2, 5], 50)
    assert str(found.horizon) == "unknown (no lag has a score)"
    assert np.isnan(found.skill).all()
    assert math.isnan(found.extrapolation(5))
    assert RetentionMeasure().rows(network, task, [0], lambda: network) == [[]]
