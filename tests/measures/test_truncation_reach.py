"""Truncation reach of systems with a known answer after truncation, and of runs of torch on the last steps alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from linear_systems import relu_rnn
from torch import Tensor, nn

from farback import cells, measures, tasks
from farback.measures import truncation_reach
from farback.measures.known.systems import Register, cascade
from farback.measures.support import windows
from farback.measures.truncation_reach import CHECKED, TruncationReach, TruncationReachMeasure, octave_lags
from farback.networks.network import Architecture, Network
from farback.tasks.base import Batch
from farback.tasks.digits import Digits
from farback.tasks.recall import Recall
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Finished
from farback.trials.trial import Trial


def delayed(lag: int, gain: float = 1.0) -> Callable[[Tensor], Tensor]:
    """A system whose output is the input `lag` steps before; 0 where there is none."""
    return lambda x_BTI: gain * nn.functional.pad(x_BTI, (0, 0, lag, 0))[:, : x_BTI.shape[1]]


def signs(length: int) -> np.ndarray:
    """Every sequence of signs, (2^T, T, 1): independent inputs of variance 1, without sampling errors."""
    return np.array(list(itertools.product([-1.0, 1.0], repeat=length)))[..., None]


def seeded(kind: Any, **options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(2, 5, **{"batch_first": True, **options}).double()


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.98])
def test_a_leaky_integrator_keeps_1_minus_a_to_the_k(decay: float) -> None:
    """h_T - h_T(k) = a^(k+1) h_(T-k-1), and h_t = 1 - a^t for inputs of 1: the exact share is finite in T."""
    T = 500
    found = truncation_reach(cascade(1, decay), np.ones((1, T, 1)))
    assert found.kept == pytest.approx((1 - decay**found.lag) / (1 - decay ** (T - 1)), abs=1e-12)
    assert found.reach() == math.ceil(math.log(0.5) / math.log(decay))
    assert np.isnan(found.skill).all()


@pytest.mark.parametrize("start", [0.0, 3.0, -1.0])
def test_a_window_starts_from_the_initial_state_of_the_system(start: float) -> None:
    """With h_0 = c, h_t - c = (1 - c) (1 - a^t): the same shares, although every window starts at c."""

    def leaky(x_BTI: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h, states = torch.full_like(x_BTI[:, 0], start) if state is None else state, []
        for x in x_BTI.unbind(1):
            h = 0.8 * h + 0.2 * x
            states.append(h)
        return torch.stack(states, 1), torch.stack(states, 1)

    found = truncation_reach(leaky, np.ones((1, 90, 1)))
    assert found.kept == pytest.approx((1 - 0.8**found.lag) / (1 - 0.8**89), abs=1e-9)
    resting = truncation_reach(leaky, np.full((1, 90, 1), start))  # no input changes the state
    assert resting.kept.tolist() == [1.0] * len(resting.lag)
    assert resting.reach() == 0


@pytest.mark.parametrize("size", [1, 2, 12, 41])
@pytest.mark.parametrize("read", [slice(None), slice(-1, None)], ids=["all slots", "last slot"])
def test_a_shift_register_reaches_its_last_slot(size: int, read: slice, rng: np.random.Generator) -> None:
    module = relu_rnn(np.eye(size, k=-1), np.eye(size)[0])
    found = truncation_reach(lambda x_BTI: module(x_BTI)[0][..., read], rng.random((200, size + 9, 1)))
    assert found.reach() == found.reach(1.0) == size - 1
    if read.start == -1:
        assert found.kept == pytest.approx((found.lag >= size - 1).astype(float), abs=1e-6)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_the_skill_of_a_sum_grows_with_every_input_that_is_seen(count: int) -> None:
    """R2 is (k + 1) / m for the sum of m independent inputs; the root mean square distance is sqrt(m - 1 - k)."""
    x_BTI = signs(count)
    total_B = x_BTI.sum((1, 2))
    found = truncation_reach(lambda x: x.cumsum(1), x_BTI, total_B)
    expected = (found.lag + 1) / count
    assert found.skill == pytest.approx(expected)
    assert found.kept == pytest.approx(expected)
    assert found.reach() == math.ceil(count / 2) - 1
    alone = truncation_reach(lambda x: x.cumsum(1), x_BTI)
    assert alone.kept == pytest.approx(1 - np.sqrt((count - 1 - alone.lag) / (count - 1)))


def test_half_of_the_skill_of_a_weaker_network_is_half_of_its_own() -> None:
    """Half the sum has the R2 1 - 1/4; of k + 1 inputs it still has (k + 1) / m of that."""
    x_BTI = signs(6)
    found = truncation_reach(lambda x: 0.5 * x.cumsum(1), x_BTI, x_BTI.sum(1))
    assert found.skill == pytest.approx(0.75 * (found.lag + 1) / 6)
    assert found.kept == pytest.approx((found.lag + 1) / 6)


@pytest.mark.parametrize("lag", [0, 3, 5])
def test_classes_are_known_from_the_lag_of_their_symbol_on(lag: int) -> None:
    """Chance is ln 4 if the four symbols are equally frequent; equal logits have this loss, and half of 3/4 apart."""
    symbol_BT = np.array(list(itertools.product(range(4), repeat=6)))
    x_BTI = np.eye(4)[symbol_BT]
    found = truncation_reach(delayed(lag, 3.0), x_BTI, symbol_BT[:, -1 - lag], classes=True, answers=4**6)
    loss = math.log(math.exp(3) + 3) - 3
    expected = np.where(found.lag >= lag, 1 - loss / math.log(4), 0.0)
    assert found.skill == pytest.approx(expected)
    assert found.kept == pytest.approx((found.lag >= lag).astype(float))
    assert found.reach() == truncation_reach(delayed(lag, 3.0), x_BTI, classes=True).reach() == lag


def test_the_distance_of_classes_is_the_total_variation() -> None:
    """The probability of one is 1/2 + v/2 with v = tanh(s) for the sum s of the signs that are seen."""
    x_BTI = signs(4)

    def sums(x_BTI: Tensor) -> Tensor:
        total = x_BTI.cumsum(1)
        return torch.cat([total, -total], -1)

    found = truncation_reach(sums, x_BTI, classes=True)
    v_KB = np.tanh(np.array([x_BTI[:, -1 - lag :, 0].sum(1) for lag in range(4)]))
    distance_K = np.abs(v_KB - v_KB[-1]).mean(1) / 2
    assert found.kept == pytest.approx(1 - distance_K / distance_K[0])


def test_context_that_makes_answers_worse_shows_as_more_than_the_full_skill() -> None:
    """The right answer is 2 steps back; after 6 steps the system adds an error of variance 1/2 to it."""
    x_BTI = signs(9)

    def drifts(x_BTI: Tensor) -> Tensor:
        late = (torch.arange(x_BTI.shape[1]) >= 6).to(x_BTI)[:, None]
        return delayed(2)(x_BTI) + math.sqrt(0.5) * late * delayed(5)(x_BTI)

    found = truncation_reach(drifts, x_BTI, x_BTI[:, -3])
    expected = np.select([found.lag < 2, found.lag < 6], [0.0, 2.0], 1.0)
    assert found.kept == pytest.approx(expected)
    assert found.reach() == 2


def test_the_reach_is_where_the_share_is_kept_for_good() -> None:
    lag, kept = np.arange(5), np.array([0.2, 0.7, 0.4, 1.3, 1.0])
    found = TruncationReach(lag, kept, kept)
    assert [found.reach(share) for share in (0.1, 0.3, 0.5, 1.0)] == [0, 1, 3, 3]
    assert TruncationReach(lag[:3], kept[:3], kept[:3]).reach() == math.inf
    assert math.isnan(TruncationReach(lag, kept * math.nan, kept).reach())
    for share in (0, 1.1, -0.5):
        with pytest.raises(ValueError, match="share must be above 0 and at most 1, got"):
            found.reach(share)


def test_a_network_at_chance_has_no_reach(rng: np.random.Generator) -> None:
    """Coin flips: outputs that have nothing to do with the answers, whether near or far from the best constant."""
    x_BTI, flips = rng.standard_normal((300, 10, 2)), rng.integers(2, size=300)
    for size in (1e-3, 1.0, 10.0):
        found = truncation_reach(lambda x, size=size: size * x.cumsum(1), x_BTI, flips, classes=True)
        assert np.isnan(found.kept).all()
        assert math.isnan(found.reach())
        assert (found.skill < 0.05).all()


def test_few_networks_at_chance_seem_better_than_it() -> None:
    """Two standard errors: 2.3 % of networks whose skill is 0 in the mean."""
    rngs = [np.random.default_rng(seed) for seed in range(200)]
    found = [
        truncation_reach(delayed(1, 0.01), rng.standard_normal((60, 3, 1)), rng.standard_normal(60), chance=1.0001)
        for rng in rngs
    ]
    known = sum(not math.isnan(one.reach()) for one in found)
    assert known <= 200 * 0.06


def cases() -> dict[str, Any]:
    gru, lstm, time_first = seeded(nn.GRU), seeded(nn.LSTM, num_layers=2), seeded(nn.GRU, batch_first=False)
    both = seeded(nn.GRU, bidirectional=True)
    return {
        "GRU": (gru, gru, True),
        "LSTM": (lstm, lstm, True),
        "time first": (time_first, gru, True),
        "function": (lambda x: gru(x)[0], gru, True),
        "with a state": (lambda x, h=None: gru(x, h), gru, True),
        "bidirectional": (both, both, False),
        "bidirectional function": (lambda x: both(x)[0], both, False),
    }


@pytest.mark.parametrize("name", cases())
def test_truncation_is_a_run_of_torch_on_the_last_steps(name: str, rng: np.random.Generator) -> None:
    """Also with fewer than k steps before an answer, and a network that looks ahead."""
    system, module, causal = cases()[name]
    T = 12
    x_BTI, asked_BT = rng.standard_normal((20, T, 2)), rng.random((20, T)) < 0.3
    asked_BT[:3] = False
    places = list(zip(*np.nonzero(asked_BT), strict=True))
    target_BTO = rng.standard_normal((20, T, 5 if causal else 10))
    target_BTO[~asked_BT] = np.nan  # what is not asked has no answer
    target_NO = target_BTO[asked_BT]
    variation = ((target_NO - target_NO.mean(0)) ** 2).sum()

    def skill(lag: int) -> float:
        with torch.no_grad():
            seen = [
                module(torch.from_numpy(x_BTI[b : b + 1, max(0, t - lag) : t + 1 if causal else T]))[0][0, min(t, lag)]
                for b, t in places
            ]
        return float(1 - ((torch.stack(seen).numpy() - target_NO) ** 2).sum() / variation)

    found = truncation_reach(system, x_BTI, target_BTO, asked=asked_BT)
    assert found.skill == pytest.approx([skill(lag) for lag in found.lag], rel=1e-9)


def test_single_precision_is_as_good_as_the_callable_has(rng: np.random.Generator) -> None:
    module = seeded(nn.GRU).float()
    x_BTI = rng.standard_normal((30, 15, 2))
    found = truncation_reach(lambda x: module(x.float())[0], x_BTI)
    assert found.kept == pytest.approx(truncation_reach(module, x_BTI).kept, abs=1e-5)


@pytest.mark.parametrize("steps", [2, 50, 129, 300])
def test_the_cost_is_bounded(steps: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most N T (8 + log2 T) steps, in parts of limited size; the rest checks the callable."""
    monkeypatch.setattr(windows, "PART_NUMBERS", 32 * 400)
    seen = []

    def counted(x_BTI: Tensor) -> Tensor:
        seen.append((len(x_BTI), x_BTI.shape[1]))
        return x_BTI.cumsum(1)

    N = 200
    truncation_reach(counted, np.abs(rng.standard_normal((N, steps, 1))))
    parts = [size for size in seen if size[0] not in (2, CHECKED)]
    assert sum(size * length for size, length in parts) <= N * steps * (8 + math.log2(steps))
    assert all(size * length <= 400 or size == 1 for size, length in parts)


def test_parts_of_any_size_give_the_same_answers(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    module, x_BTI, asked_BT = seeded(nn.LSTM), rng.standard_normal((30, 10, 2)), rng.random((30, 10)) < 0.5
    expected = truncation_reach(module, x_BTI, asked=asked_BT)
    monkeypatch.setattr(windows, "PART_NUMBERS", 1000)
    assert truncation_reach(module, x_BTI, asked=asked_BT).kept == pytest.approx(expected.kept, rel=1e-9)


def test_answers_beyond_the_limit_are_a_random_part(rng: np.random.Generator) -> None:
    x_BTI = rng.standard_normal((1, 4000, 1))
    target_BTI = np.concatenate([np.zeros((1, 3, 1)), x_BTI[:, :-3]], 1)
    for found in (truncation_reach(delayed(3), x_BTI, target_BTI[..., 0], answers=100, seed=s) for s in range(3)):
        assert found.reach() == 3
    one, other = (truncation_reach(two_inputs, x_BTI, asked=np.ones((1, 4000)), answers=100, seed=s) for s in (0, 1))
    assert repr(one) != repr(other)


def two_inputs(x_BTI: Tensor) -> Tensor:
    return delayed(1)(x_BTI) + 0.5 * delayed(3)(x_BTI)


def ring_buffer(task: Any, slots: int) -> Network:
    """Solves recall: the answer is the cue in any of its slots."""
    architecture = Architecture(cells.build("shift_register"), task.inputs, slots * task.inputs, task.answer.outputs)
    weight = torch.zeros(1, task.symbols, slots, task.inputs)
    weight[0, :, :, : task.symbols] = 8 * torch.eye(task.symbols).unsqueeze(1)
    return Network(architecture, {"readout.weight": weight.flatten(2), "readout.bias": torch.zeros(1, task.symbols)})


@pytest.mark.parametrize(("lag", "length"), [(7, None), (7, 20), (3, 20), (12, 30)])
def test_on_recall_the_reach_is_the_lag_of_the_cue(lag: int, length: int | None) -> None:
    """A buffer of 13 slots retains the cue; only the cue has an effect, and it must be seen."""
    task = tasks.build({"name": "recall", "lag": lag, "length": length})
    network = ring_buffer(task, 13)
    found = truncation_reach(network, task=task)
    assert found.reach() == lag
    batch = task.sample(np.random.default_rng(0), 300)
    step_B = torch.nonzero(batch.lag_BT >= 0)[:, 1]
    assert measures.causal_reach(network, batch.input_BTI, classes=True, step=step_B).horizon.low == lag
    retained = measures.retention(network, task, [lag], 200)
    assert retained.remembered.all()
    assert found.skill[-1] == pytest.approx(float(retained.skill[0]), abs=0.02)


def test_beyond_what_a_network_retains_the_reach_is_unknown() -> None:
    recall = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})
    retained = measures.retention(Register(2, 9), recall, range(1, 14), 200).horizon
    assert [truncation_reach(Register(2, 9), task=recall.at(lag)).reach() for lag in (5, int(retained.low))] == [5, 8]
    assert math.isnan(truncation_reach(Register(2, 9), task=recall.at(int(retained.high))).reach())


def test_the_measure_uses_test_data(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, sample = [], Digits.sample

    def recorded(self: Digits, *args: Any) -> Any:
        parts.append(self.part)
        return sample(self, *args)

    monkeypatch.setattr(Digits, "sample", recorded)
    task = tasks.build("digits")
    network = ring_network(task)
    TruncationReachMeasure(sequences=5).network_rows(network, task, 0)
    truncation_reach(network, task=task, answers=5)
    assert set(parts) == {"test"}


def ring_network(task: Any) -> Network:
    architecture = Architecture(cells.build("shift_register"), task.inputs, 4 * task.inputs, task.answer.outputs)
    outputs = task.answer.outputs
    return Network(
        architecture,
        {"readout.weight": torch.zeros(1, outputs, 4 * task.inputs), "readout.bias": torch.zeros(1, outputs)},
    )


def test_copies_of_a_few_test_sequences_do_not_make_chance_look_like_skill() -> None:
    """Coin flips: 30 sequences, drawn 500 times. Noise beyond two of the standard errors of 30 answers is rare."""

    class Few(Recall):
        def held_out(self, purpose: str) -> Few:
            return self.model_copy()

        def sample(self, rng: np.random.Generator, size: int, lag_B: Any = None) -> Batch:
            batch = super().sample(np.random.default_rng(7), 30)
            return Batch(*(part[torch.arange(size) % 30] for part in batch))

    known = 0
    for seed in range(60):
        guess_T2 = 0.3 * torch.randn(40, 2, generator=torch.Generator().manual_seed(seed)).double()

        def guesses(x_BTI: Tensor, guess_T2: Tensor = guess_T2) -> Tensor:
            """A guess that follows from the distractors alone."""
            place_B = (x_BTI[..., 2:4] @ torch.tensor([1.0, 2.0]).double()).sum(1).long() % 40
            return guess_T2[place_B][:, None].expand(-1, x_BTI.shape[1], -1)

        task = Few(symbols=2, lag=12)
        known += not math.isnan(truncation_reach(guesses, task=task, answers=500, seed=seed).reach())
    assert known <= 5


def test_the_rows_of_all_seeds_have_the_same_lags() -> None:
    task = tasks.build({"name": "recall", "lag": 9, "length": 30})
    network = ring_buffer(task, 13)
    steps = task.sample(np.random.default_rng(0), 1).input_BTI.shape[1]
    for seed in (0, 1):
        rows = TruncationReachMeasure(sequences=50).network_rows(network, task, seed)
        assert [row.lag for row in rows if row.statistic == "kept"] == octave_lags(steps - 1)
        assert {row.statistic: row.value for row in rows if row.lag < 0} == {"reach": 9.0}


def test_lags_are_quarters_of_octaves() -> None:
    assert octave_lags(0) == [0]
    assert octave_lags(2) == [0, 1, 2]
    assert octave_lags(30) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 30]


X = np.ones((4, 6, 1))


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ((), {}, "needs either inputs"),
        ((X,), {"task": tasks.build("recall")}, "needs either inputs"),
        ((X,), {"lags": [6]}, "between 0 and 5, as sequences have 6 steps; got"),
        ((X,), {"lags": []}, "between 0 and 5"),
        ((X,), {"lags": [0.5]}, "whole numbers"),
        ((X,), {"answers": 0}, "answers must be at least 1"),
        ((X,), {"asked": np.ones((4, 5))}, r"asked must be \(B, T\), here \(4, 6\)"),
        ((X,), {"asked": np.zeros((4, 6))}, "true somewhere"),
        ((X, np.ones(3)), {}, r"those of 4 sequences, or of the steps \(4, 6\); got shape \(3,\)"),
        ((X, np.ones(4)), {"asked": np.ones((4, 6))}, "of the steps"),
        ((X, np.ones((4, 2))), {}, "targets must be 1 numbers for each answer"),
        ((X, np.full((4, 6), np.nan)), {}, "targets must be finite"),
        ((X, [0, 1, 0, 1]), {"classes": True}, "classes from 0 to 0"),
        ((X, [0, 0.5, 0, 1]), {"classes": True}, "whole numbers"),
    ],
)
def test_unusable_arguments_are_errors(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        truncation_reach(lambda x: x.cumsum(1), *given, **options)


def test_outputs_that_do_not_fit_the_task_are_an_error() -> None:
    with pytest.raises(ValueError, match="recall needs 8 outputs, the system has 3"):
        truncation_reach(lambda x: x[..., :3], task=tasks.build({"name": "recall", "symbols": 8}))


@pytest.mark.slow
def test_a_trained_network_must_see_its_cue(trial_of: Callable[..., Trial]) -> None:
    """The cue lies 8 steps back, at the start of the sequences or in their middle."""
    for length in (None, 12):
        trial = trial_of(
            task={"name": "recall", "symbols": 2, "filler": "blank", "length": length},
            lag=8,
            cell="gru",
            batch=32,
            hidden=16,
            steps=600,
            optimizer={"name": "adam", "lr": 0.01},
            measures=["retention", "truncation_reach", {"name": "causal_reach", "lags": list(range(9))}],
        )
        (scores,) = [event.result.scores for event in train(Cohort.of(trial)) if isinstance(event, Finished)]
        found = scores.set_index(["measure", "statistic", "lag"])["value"]
        assert found["retention", "success", 8] == 1
        assert found["truncation_reach", "reach", -1] == found["causal_reach", "horizon", -1] == 8
        assert found["truncation_reach", "kept", 7] < 0.5
