"""The diagnosis names the planted cause, and its curves are those of systems with a closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from farback import cells, inits, measures, tasks
from farback.measures.diagnosis import CAUSES, DiagnosisMeasure, diagnosis
from farback.measures.known.forgetting import MIXED, SINGLE, Planted, planted, told
from farback.measures.known.forgetting_gradients import KINDS
from farback.measures.known.systems import Latch, Register
from farback.networks.network import Architecture, draw
from farback.system.random_streams import stream

BLANK = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})
HOLD = tasks.build({"name": "hold", "noise": 1.0})


def integrator(keep: float, gain: float, lost: Callable[[Tensor], Tensor] = lambda x: torch.zeros_like(x)) -> Any:
    """m = u at the cue; later m = (keep - lost(x)) m + gain * x; the answer is m. For the task `hold`."""

    def system(x_BTI: Tensor, state_B1: Tensor | None = None) -> tuple[Tensor, Tensor]:
        m_B = x_BTI.new_zeros(len(x_BTI)) if state_B1 is None else state_B1[:, 0]
        found = []
        for x_BI in x_BTI.unbind(1):
            number_B, cue_B = x_BI[:, 0], x_BI[:, 1]
            m_B = cue_B * number_B + (1 - cue_B) * ((keep - lost(number_B)) * m_B + gain * number_B)
            found.append(m_B)
        m_BT1 = torch.stack(found, 1)[..., None]
        return m_BT1, m_BT1

    return system


def a_cause(number: int, seed: int = 0) -> Planted:
    return planted(stream(seed, "test", number), number)


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=pytest.mark.slow if n > len(SINGLE) else []) for n in range(len(SINGLE) + len(MIXED))],
    ids=lambda n: "+".join(a_cause(n).causes),
)
def test_a_planted_cause_is_named(number: int) -> None:
    assert told(a_cause(number), diagnosis)


@pytest.mark.slow
def test_planted_causes_are_told_apart_by_other_seeds() -> None:
    count = (len(SINGLE) + len(MIXED)) * 8
    rng = stream(1, "test", "planted")
    right = [told(planted(rng, number), diagnosis, number) for number in range(count)]
    assert np.mean(right) >= 0.92  # 0.95 less one standard error and a half


@pytest.mark.slow
def test_what_cannot_be_learned_is_told_from_what_can() -> None:
    """Four kinds of networks whose gradient is noise; and networks that fail for other causes from known starts."""
    right: dict[str, list[bool]] = {}
    kinds = set()
    for seed in range(24):
        for number, cause in enumerate(SINGLE):
            one = planted(stream(seed, "test", "gradient", number), number)
            if one.untrained is not None:
                right.setdefault(cause, []).append(told(one, diagnosis, seed))
                kinds |= {one.kind.split()[0]} if cause == "not_learnable" else set()
    assert kinds == set(KINDS)
    assert set(right) == {"not_learnable", "not_written", "decays", "overwritten", "not_read"}
    assert np.mean(right.pop("not_learnable")) >= 0.85  # two intervals of 95 % must end below 1
    assert np.mean([one for own in right.values() for one in own]) >= 0.9


def test_a_network_that_answers_has_no_cause() -> None:
    found = diagnosis(Latch(2.2), BLANK, 50)
    assert (found.cause, dict(found.shares), found.step) == ("none", {}, None)
    assert found.distinguishability == math.inf  # there are no distractors


@pytest.mark.parametrize("slots", [5, 12])
def test_a_buffer_loses_the_cue_at_its_end(slots: int) -> None:
    found = diagnosis(Register(2, slots), BLANK, 20)
    assert (found.cause, found.step) == ("decays", slots)
    assert found.evidence.probe[slots - 1] == 1.0
    assert not found.evidence.separation[slots:].any()


def test_the_separation_of_a_leaky_integrator_is_a_to_the_k() -> None:
    found = diagnosis(integrator(0.8, 0.0), HOLD, 30)
    ratio = found.evidence.separation / found.evidence.separation[0]
    np.testing.assert_allclose(ratio, 0.8 ** np.arange(31), rtol=1e-9)
    assert (found.cause, list(found.shares)) == ("decays", ["decays"])


def test_distinguishability_of_a_random_walk_is_that_of_its_steps() -> None:
    """The cue has the variance of a step over gain^2: the ratio of root mean squares is 1 / (gain sqrt(lag - 1))."""
    found = diagnosis(integrator(1.0, 0.5), HOLD, 65, sequences=2000)
    assert found.distinguishability == pytest.approx(1 / (0.5 * 8), rel=0.09)  # four standard errors
    assert (found.cause, list(found.shares)) == ("drifts", ["drifts"])
    np.testing.assert_allclose(found.evidence.separation, found.evidence.separation[0])


def test_what_distractors_overwrite_is_there_with_blanks() -> None:
    system = integrator(1.0, 0.0, lambda x: 0.3 * (x.abs() > 1))
    found = diagnosis(system, HOLD, 40)
    assert (found.cause, list(found.shares)) == ("overwritten", ["overwritten"])
    batch = HOLD.at(40).sample(np.random.default_rng(0), 500)
    batch.input_BTI[:, 1:40] = 0.0
    by_hand = 1 - float((system(batch.input_BTI)[0][:, -1, 0] - batch.target_BT[:, -1]).square().mean())
    assert found.evidence.effects["blanked"][0] == pytest.approx(by_hand, abs=0.03)
    assert by_hand > 0.9  # less than 1, because the asked step shows a distractor too
    assert found.evidence.patched[-1] > 0.5 > found.evidence.patched[0]  # nothing goes wrong after the last step


def test_a_step_that_overwrites_is_found() -> None:
    """The memory is cleared by the 23rd step after the cue, if that step shows a distractor."""

    def system(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        cleared_BT = torch.zeros(x_BTI.shape[:2], dtype=torch.bool)
        cleared_BT[:, 23:] = x_BTI[:, 23:24, 4:8].sum(-1) > 0
        cue_B1I = x_BTI[:, :1, :4].expand(-1, x_BTI.shape[1], -1)
        state_BTI = torch.where(cleared_BT[..., None], 0.0, cue_B1I)
        return 9 * state_BTI, state_BTI

    for lag in (40, 70):  # beyond lag 48 not every step is looked at
        found = diagnosis(system, tasks.build({"name": "recall"}), lag)
        assert (found.cause, found.step) == ("overwritten", 23)


def test_other_wiring_of_the_readout_is_not_read() -> None:
    class Rolled(Latch):
        def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
            output_BTO, state_BTS = super().forward(x_BTI)
            return output_BTO.roll(1, -1), state_BTS

    found = diagnosis(Rolled(2.2), BLANK, 30)
    assert (found.cause, dict(found.shares), found.step) == ("not_read", {"not_read": 1.0}, 30)
    answer, kept = found.evidence.effects["answer"], found.evidence.effects["kept"]
    assert answer == (-1.0, -1.0, -1.0)
    assert kept == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("module", [nn.RNN, nn.LSTM, nn.GRU])
def test_networks_of_torch_and_farback_and_callables_agree(module: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rnn = module(9, 4, batch_first=True).double()
    task = tasks.build({"name": "recall", "lag": 6})
    found = [diagnosis(system, task, 6, trained=6) for system in (rnn, lambda x, h=None: rnn(x, h))]
    assert found[0].cause == found[1].cause in CAUSES
    np.testing.assert_allclose(found[0].evidence.separation, found[1].evidence.separation, atol=1e-12)
    assert found[0].evidence.effects["answer"] == found[1].evidence.effects["answer"]


def test_equal_seeds_give_equal_numbers_and_nothing_is_changed() -> None:
    rnn = nn.GRU(9, 4, batch_first=True)
    before = {name: value.clone() for name, value in rnn.state_dict().items()}
    task = tasks.build({"name": "recall", "lag": 6})
    assert repr(diagnosis(rnn, task, trained=6)) == repr(diagnosis(rnn, task, trained=6))
    assert rnn.training
    assert all(torch.equal(value, before[name]) for name, value in rnn.state_dict().items())


def test_a_state_of_no_fixed_size_is_read_from_the_outputs() -> None:
    task = tasks.build({"name": "recall", "lag": 8})
    network = draw(Architecture(cells.build("attention"), 9, 8, 4), [inits.build("torch")], [0], 8)
    found = diagnosis(network, task)
    assert found.cause in (*CAUSES, "unknown")
    assert not len(found.evidence.patched)


@pytest.mark.parametrize(
    ("task", "lag", "words"),
    [("recall", 0, "lag of 1 or more"), ("recall", 5, "4 outputs")],
)
def test_what_cannot_be_diagnosed_is_refused(task: str, lag: int, words: str) -> None:
    own = tasks.build(task)
    with pytest.raises(ValueError, match=words):
        diagnosis(lambda x: x, own, lag)


def test_a_measure_of_a_trial_has_the_shares_of_each_lag() -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    network = draw(Architecture(cells.build("gru"), 9, 6, 4), [inits.build("torch")], [0], 5)
    measure = measures.build({"name": "diagnosis", "lags": [5, 9], "sequences": 128})
    (rows,) = measure.rows(network, task, [0], lambda: network)
    for lag in (5, 9):
        shares = [row.value for row in rows if row.lag == lag and row.statistic.startswith("share_")]
        assert sum(shares) == pytest.approx(1.0)


def test_a_measure_refuses_lags_that_a_task_cannot_have() -> None:
    with pytest.raises(ValueError, match="another question"):
        DiagnosisMeasure(lags=(3,)).check(tasks.build({"name": "nback", "lag": 2}))


def small(lag: int, seed: int = 0, kind: str = "elman", init: str = "torch") -> Any:
    task = tasks.build({"name": "recall", "lag": lag})
    return task, draw(Architecture(cells.build(kind), 9, 8, 4), [inits.build(init)], [seed], lag)


def test_a_gradient_that_was_noise_and_is_noise_is_not_learnable() -> None:
    """PyTorch's start: the squared gradient falls to a third with each step, here by 3^-30."""
    task, network = small(30)
    found = diagnosis(network, task, untrained=network)
    assert (found.cause, dict(found.shares)) == ("not_learnable", {"not_learnable": 1.0})
    assert "share/decays" in found.evidence.effects
    assert found.evidence.effects["signal/start"][2] < 1


def test_a_gradient_that_tells_the_cue_is_learnable() -> None:
    task, network = small(3, init="orthogonal")
    found = diagnosis(network, task, untrained=network)
    assert found.evidence.effects["signal/start"][1] > 1
    assert found.cause != "not_learnable"


def test_a_callable_without_parameters_has_no_gradient() -> None:
    task = tasks.build({"name": "recall", "lag": 4})
    system = lambda x: (0 * x[..., :4], x)  # noqa: E731
    found = diagnosis(system, task, untrained=system)
    assert not [name for name in found.evidence.effects if name.startswith("signal")]
