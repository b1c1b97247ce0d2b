"""The verdicts of the shipped experiments, on made-up scores that hold and that refute what was predicted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from every_trial import every_trial
from farback import tables
from farback.experiment import Experiment, Sweep
from farback.report.experiment_script import experiment_module
from farback.stores.base import Recorded, tidy
from farback.trials.trial import Trial
from some import one_in, some

ROOT = Path(__file__).parent.parent


def made_up(name: str, skill: Callable[[Trial], float]) -> tuple[ModuleType, pd.DataFrame]:
    """An experiment's script, and a frame of all its trials with skills by a rule."""
    recorded = []
    for trial in loaded(name):
        value = skill(trial)
        rows = [("skill", value), ("accuracy", value), ("chance_accuracy", 0.0), ("success", float(value >= 0.5))]
        table = [("retention", 9, trial.lag, statistic, number) for statistic, number in rows]
        recorded.append(Recorded(trial.columns(), "finished", table))
    script = experiment_module(ROOT / "experiments" / f"{name}.py")
    assert script is not None
    return script, tidy(recorded)


@cache
def loaded(name: str) -> list[Trial]:
    """All trials of a shipped config."""
    experiment = Experiment.load(ROOT / "configs" / f"{name}.yaml")
    assert isinstance(experiment, Sweep)
    return every_trial(experiment)


@pytest.mark.parametrize("true", [True, False], ids=["held", "refuted"])
@pytest.mark.slow
def test_cells_judges_each_prediction(true: bool) -> None:
    order = ["GRU", "LSTM", "RNN tanh", "LRU", "minGRU", "echo state"]
    ahead = {cell: 0.9 - 0.15 * place for place, cell in enumerate(order if true else order[::-1])}
    windows = {"attention (window 16)": 12, "TCN": 12} if true else {}

    def skill(trial: Trial) -> float:
        label, budget = trial.cell.label(), str(trial.match).split()[0]
        if trial.task.name == "recall":
            short = ("LRU",) if true else ("attention", "LRU", "S5", "S4D", "LinOSS", "D-LinOSS", "Mamba")
            reach = 20 if label in short else 128
            return float(trial.lag <= windows.get(label, 10 if label == "GLA" and true else reach))
        if trial.task.name == "group" and label in ("GRU", "GLA"):
            return float((label == "GRU") is true)
        solved = {"LinOSS": 1.0, "memoryless": 0.6} if not true else {"LRU": 0.97 if budget == "parameters" else 0.0}
        return (
            solved.get(label, ahead.get(label, 0.0))
            - 0.5 * (true and trial.task.name == "adding")
            + trial.seed % 10 / 1000
        )

    script, frame = made_up("cells", skill)
    frame = tables.with_roles(frame, {trial.key: trial.role for trial in loaded("cells") if trial.role})
    analysis = script.analyse(frame, ())
    expected = "Held" if true else "Refuted"
    assert len(analysis.verdict) == 17
    wrong = [line for line in analysis.verdict if not line.strip("*").startswith(expected)]
    assert not wrong, wrong
    assert set(analysis.tables[0].frame["trials"]) == {30}  # without those that helped to choose
    choices = next(part for part in analysis.tables if part.name == "choices").shown
    assert set(choices["chosen"]) == {"optimizer.lr 0.003"}
    sizes = analysis.tables[-1].frame
    assert (sizes[sizes["budget"] == "parameters"]["parameters"] <= 2500).all()
    assert (sizes[sizes["budget"] == "state"]["state"] <= 96).all()


@pytest.mark.parametrize("true", [True, False], ids=["held", "refuted"])
@pytest.mark.slow
def test_long_judges_each_prediction(true: bool) -> None:
    def skill(trial: Trial) -> float:
        gated = trial.cell.name in ("lstm", "gru", "mingru")
        chrono = trial.init.name == "chrono"
        if true:
            reach = 40_000 if chrono else 20 if gated else 1000
            return float(trial.lag <= (reach if trial.task.name == "recall" else reach / 10))
        return float(trial.lag <= (1000 if chrono and trial.task.name == "recall" else 40_000))

    script, frame = made_up("long", skill)
    analysis = script.analyse(frame, ())
    expected = "Held" if true else "Refuted"
    wrong = [line for line in analysis.verdict if not line.strip("*").startswith(expected)]
    assert len(analysis.verdict) == 9
    # with horizons of 1000, that none reaches 100 000 is true
    assert len(wrong) == (0 if true else 1), wrong
    assert "; hold: " in analysis.headline
    assert any(name.startswith("horizon/") for name in analysis.metrics)


@pytest.mark.parametrize("true", some([True, False], one_in(2)), ids=["held", "refuted"])
def test_depth_judges_each_prediction(true: bool) -> None:
    def skill(trial: Trial) -> float:
        name = trial.parameters()["cell.nonlinearity"]
        reach = 40 if name == "identity" else 20 if name not in ("sigmoid", "gelu") else 10
        if not true:
            reach = 10 if reach >= 20 else 20
        return float(trial.lag <= reach * (1 if true or trial.depth < 3 else 2))

    script, frame = made_up("depth", skill)
    analysis = script.analyse(frame, ())
    assert len(analysis.verdict) == 9
    assert all(line.strip("*").startswith("Held" if true else "Refuted") for line in analysis.verdict), analysis.verdict
    assert (analysis.tables[-1].frame["parameters"] <= 2500).all()


@pytest.mark.slow
def test_sizes_change_nothing_on_a_page_that_was_there_before_them() -> None:
    script, frame = made_up("horizon", lambda trial: float(trial.lag <= 20 + trial.seed * 10))
    with_sizes, before = (
        script.analyse(one, ()) for one in (frame, frame.drop(columns=["parameters", "state", "flops"]))
    )
    assert (with_sizes.headline, with_sizes.verdict, with_sizes.metrics) == (
        before.headline,
        before.verdict,
        before.metrics,
    )
    for one, other in zip(with_sizes.parts, before.parts, strict=True):
        pd.testing.assert_frame_equal(one.frame, other.frame)
        assert one.name == other.name
