"""Measures on long sequences in parts have the results of whole sequences."""

from typing import Any

import numpy as np
import pytest
import torch

from farback.measures import FAMILY
from farback.measures.causal_reach import causal_reach
from farback.measures.gate_times import gate_times
from farback.measures.last_output import last_output
from farback.measures.probe import probe
from farback.measures.support import long_samples
from farback.measures.truncation_reach import truncation_reach
from farback.networks.network import Network, draw, to_torch
from farback.tasks.base import Task
from farback.trials.trial import Trial

LAG = 37
LAGS = [0, 1, 2, 4, 8, 16, 32, 37]


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_samples, "LONG", LAG - 1)
    monkeypatch.setattr(long_samples, "PART_NUMBERS", 32 * 60 * 7)


def made(cell: str = "lstm", task: str = "recall", **fields: Any) -> tuple[Network, Network, Task]:
    trial = Trial.model_validate({"task": task, "lag": LAG, "cell": cell, "hidden": 5, **fields})
    trained, initial = (draw(trial.architecture, [trial.init], [seed], LAG) for seed in (1, 2))
    return trained, initial, trial.task


def measured(name: str, network: Network, task: Task, copies: int = 1, **fields: Any) -> tuple[Any, torch.Tensor]:
    """A measure, and its whole sample."""
    measure = FAMILY.build({"name": name, "sequences": 60, **fields})
    found = list(long_samples.parts(measure, network, task, 3, copies))
    assert len(found) > 2
    assert [first for first, _ in found] == [sum(x.shape[1] for _, x in found[:index]) for index in range(len(found))]
    return measure, torch.cat([x for _, x in found], 1)


def values(rows: list[Any], statistic: str) -> list[float]:
    return [row.value for row in rows if row.statistic == statistic]


def close(rows: list[Any], statistic: str, expected: Any) -> None:
    assert np.allclose(values(rows, statistic), expected, rtol=1e-9, atol=1e-12, equal_nan=True), statistic


@pytest.mark.parametrize(("cell", "task"), [("lstm", "recall"), ("gru", "hold"), ("lru", "recall")])
def test_effects_of_replaced_inputs(cell: str, task: str) -> None:
    network, _, made_task = made(cell, task, depth=2)
    measure, x_BTI = measured("causal_reach", network, made_task, copies=1 + len(LAGS))
    rows = measure.network_rows(network, made_task, 3)
    whole = causal_reach(network, x_BTI, LAGS, classes=task == "recall", seed=3)
    assert whole.effect.max() > 0
    close(rows, "effect", whole.effect)
    close(rows, "effect_error", whole.effect_error)
    close(rows, "kl", whole.kl)


@pytest.mark.parametrize("features", ["h", "full"])
def test_probes(features: str) -> None:
    network, initial, task = made(depth=2)
    measure, x_BTI = measured("probe", network, task, features=features)
    (rows,) = measure.rows(network, task, [3], lambda: initial)
    whole = probe(network, x_BTI, None, LAGS, untrained=initial, features=features, seed=3)
    known = np.isfinite(whole.skill)
    assert known.any()
    for name in ("skill", "accuracy", "untrained_skill", "shuffled_skill"):
        close(rows, name, getattr(whole, name)[known])


def test_lags_beyond_the_sequences() -> None:
    network, initial, task = made()
    decoded = FAMILY.build({"name": "probe", "sequences": 60, "lags": [38]})
    assert decoded.rows(network, task, [3], lambda: initial) == [[]]
    with pytest.raises(ValueError, match=r"lags must lie between 0 and 37.*; got \[38\]"):
        FAMILY.build({"name": "causal_reach", "lags": [38]}).network_rows(network, task, 3)


def test_gates() -> None:
    network, _, task = made(depth=2)
    measure, x_BTI = measured("gate_times", network, task)
    close(measure.network_rows(network, task, 3), "tau", gate_times(network, x_BTI).tau)


@pytest.mark.parametrize("task", ["recall", "hold"])
def test_truncated_sequences(task: str) -> None:
    network, _, made_task = made("elman", task, depth=2)
    measure, x_BTI = measured("truncation_reach", network, made_task)
    batch = list(long_samples.batches(measure, network, made_task, 3))[-1]
    wanted = {"classes": True} if task == "recall" else {}
    chance = made_task.chance().loss
    whole = truncation_reach(network, x_BTI, batch.target_BT[:, -1], chance=chance, **wanted)
    rows = measure.network_rows(network, made_task, 3)
    shown = np.isin(whole.lag, [row.lag for row in rows])
    assert shown.sum() > 10
    close(rows, "skill", whole.skill[shown])
    close(rows, "kept", whole.kept[shown])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_last_outputs(cell: str) -> None:
    network, _, task = made(cell)
    measure, x_BTI = measured("last_output", network, task)
    rows = measure.network_rows(network, task, 3)
    whole = last_output(to_torch(network), x_BTI)
    assert {row.statistic: bool(row.value) for row in rows if row.statistic in whole} == whole
    assert values(rows, "padded_own_last") == [1.0]
    assert values(rows, "padded_last") == [0.0]


@pytest.mark.parametrize(
    "fields",
    [{"bidirectional": True}, {"task": {"name": "recall", "length": 90}}, {"task": "copy"}, {"lag": LAG - 1}],
)
def test_other_samples_run_whole(fields: dict[str, Any]) -> None:
    network, _, task = made(**fields)
    assert not long_samples.runs_in_parts(network, task)
    assert long_samples.runs_in_parts(*made()[::2])
