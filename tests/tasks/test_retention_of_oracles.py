"""The ruler on every task: a system that forgets after m steps has its retention horizon at m.

Also: exact sequences (`Task.sample_exact`) are those that `sample` draws, given that an answer needs the task's lag.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from oracles import ORACLES
from scipy import stats
from torch import Tensor

from farback import tasks
from farback.measures import retention
from farback.stats import Horizon
from farback.tasks import Batch, OneOf, Task
from some import some

MANY_LAGS = ["adding", "assoc", "flipflop", "multiplication", "selective_copy", "temporal_order"]


def first(task: Task) -> int:
    return max(1, task.least)


def forgetful(task: Task, memory: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Answers correctly where `lag_BT` is at most `memory`, else by the mean or with equal probabilities."""
    drawn: list[Batch] = []
    draw = type(task).sample_exact

    def recorded(self: Task, rng: np.random.Generator, size: int) -> Batch:
        drawn.append(draw(self, rng, size))
        return drawn[-1]

    monkeypatch.setattr(type(task), "sample_exact", recorded)

    def system(x_BTI: Tensor) -> Tensor:
        _, target, lag_BT = drawn[-1]
        output_BTO = task.answer.perfect(target)
        asked = output_BTO[lag_BT >= 0]
        unknown = torch.zeros(()) if isinstance(task.answer, OneOf) else asked.mean()
        return torch.where((lag_BT <= memory)[..., None], output_BTO, unknown)

    return system


@pytest.mark.parametrize("factor", [0, 1, 2, 3, 8])
def test_a_system_that_forgets_after_m_steps_has_its_horizon_at_m(
    every_task: Task, factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = first(every_task)
    lags = [base, 2 * base, 4 * base]
    system = forgetful(every_task, factor * base, monkeypatch)
    horizon = retention(system, every_task, lags, 60).horizon
    expected = {0: (0, base), 1: (base, 2 * base), 2: (2 * base, 4 * base), 3: (2 * base, 4 * base)}
    assert horizon == Horizon(*expected.get(factor, (4 * base, math.inf)))


@pytest.mark.parametrize("memory", some([8, 40, 100], lambda at, memory: memory == 40))
@pytest.mark.parametrize("name", MANY_LAGS)
def test_an_oracle_that_reads_the_inputs_and_forgets_has_its_horizon_at_its_memory(name: str, memory: int) -> None:
    """Sequences that ask at many lags do not hide that the long ones are forgotten."""
    task = tasks.build(name)
    lags = sorted({*(lag for lag in (8, 20, 40, 100, 200) if lag >= task.least), task.least})

    def system(x_BTI: Tensor) -> Tensor:
        lag = {"adding": lambda T: T // 2, "multiplication": lambda T: T // 2, "assoc": lambda T: T - 2}.get(name)
        own = lag(x_BTI.shape[1]) if lag else next(each for each in lags if shape[each] == x_BTI.shape[1])
        output_BTO = torch.zeros(*x_BTI.shape[:2], task.answer.outputs)
        for b, x in enumerate(x_BTI.numpy()):
            for t, (answer, needed) in ORACLES[name](task.at(own), x, own).items():
                if needed <= memory:
                    kind = torch.int64 if isinstance(task.answer, OneOf) else torch.float32
                    output_BTO[b, t] = task.answer.perfect(torch.tensor(answer, dtype=kind))
        return output_BTO

    shape = {lag: task.at(lag).sample(np.random.default_rng(0), 1).input_BTI.shape[1] for lag in lags}
    horizon = retention(system, task, lags, 60).horizon
    assert horizon.low == max((lag for lag in lags if lag <= memory), default=0)
    assert horizon.high == min((lag for lag in lags if lag > memory), default=math.inf)


@pytest.mark.parametrize("lag_above_least", [0, 3])
def test_exact_sequences_are_those_of_sample_with_an_answer_at_the_lag(every_task: Task, lag_above_least: int) -> None:
    task = every_task.at(every_task.least + lag_above_least)
    exact = task.sample_exact(np.random.default_rng(0), 1500 if task.name in MANY_LAGS else 5)
    if task.name not in MANY_LAGS:
        drawn = task.sample(np.random.default_rng(0), 5)
        assert all(torch.equal(a, b) for a, b in zip(exact, drawn, strict=True))
        return
    drawn = task.sample(np.random.default_rng(1), 60_000)
    kept_B = (drawn.lag_BT == task.lag).any(1)
    drawn = Batch(*(part[kept_B] for part in drawn))
    assert len(drawn.lag_BT) > 200
    for draw in (lambda b: b.lag_BT[b.lag_BT >= 0], lambda b: (b.lag_BT >= 0).nonzero()[:, 1]):
        assert stats.ks_2samp(draw(exact).numpy(), draw(drawn).numpy()).pvalue > 1e-4
    means, errors = zip(
        *((b.input_BTI.mean(0), b.input_BTI.var(0) / len(b.input_BTI)) for b in (exact, drawn)), strict=True
    )
    z = (means[0] - means[1]).abs() / (sum(errors) + 1e-6).sqrt()
    assert float(z.max()) < 5


@pytest.mark.parametrize("name", ["selective_copy", "assoc", "flipflop", "temporal_order"])
def test_a_task_of_many_lags_draws_the_exact_lag_at_a_length_where_chance_never_would(name: str) -> None:
    batch = tasks.build({"name": name, "lag": 3000}).sample_exact(np.random.default_rng(0), 3)
    assert (batch.lag_BT == 3000).any(1).all()
