"""A sweep whose lags are picked by bisection: less is trained, and the tables say the same as of the whole grid."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import farback
from farback import bisection, planning, runner, tables, train
from farback.component import UserError
from farback.executors import Pool, Serial
from farback.experiment import Experiment
from farback.stores.memory import Memory
from farback.trial import Checkpoint, Cohort, Failed, Finished, Trial, TrialResult, scores

LAGS = [1, 2, 4, 8, 16]
CONFIG = """
name: small
question: How far?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 8
  batch: 16
  steps: 150
  evaluate_every: 25
  optimizer: {name: adam, lr: 1.0e-2}
  measures: [{name: retention, sequences: 100}]
sweep:
  - cell: [{name: elman}, {name: memoryless}]
    lag: LAGS
    seed: {range: 3}
"""


def config(folder: Path, lag: str = "{bracket: [1, 16]}", name: str = "small") -> Experiment:
    (folder / "configs").mkdir(exist_ok=True)
    path = folder / "configs" / f"{name}.yaml"
    path.write_text(CONFIG.replace("LAGS", lag).replace("name: small", f"name: {name}"))
    return Experiment.load(path)


def horizon_of(trial: Trial) -> int:
    """What a made-up network can do: by its seed, from nothing to everything."""
    return 0 if trial.cell.name == "memoryless" else [1, 5, 16][trial.seed]


def made_up(cohort: Cohort, **settings: object):
    """A training that takes no time: every trial ends where its horizon says."""
    for trial in cohort.trials:
        value = float(trial.lag <= horizon_of(trial))
        rows = [
            ("retention", 150, trial.lag, name, number)
            for name, number in {"skill": value, "success": value, "accuracy": value, "chance_accuracy": 0.5}.items()
        ]
        yield Finished(TrialResult(trial.key, scores(rows), "finished"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "train", made_up)


def trained(store: Memory, name: str = "small") -> set[str]:
    return set(store.frame(name)["key"])


def test_horizons_are_those_of_the_whole_grid_from_fewer_trainings(tmp_path: Path) -> None:
    """Trained for real: a tanh network learns short lags, one without memory none."""
    picked, whole = Memory(), Memory()
    summary = farback.run(config(tmp_path), workers=1, store=picked)
    farback.run(config(tmp_path, str(LAGS), "grid"), workers=1, store=whole)
    assert summary.trained == len(trained(picked)) < 30
    part, full = picked.frame("small"), whole.frame("grid")
    seeds = tables.seed_horizons(full)
    assert set(seeds["horizon"]) == {"< 1", ">= 16"} or len(set(seeds["horizon"])) > 1  # they differ, or it shows nothing
    assert not seeds["nonmonotone"].any()
    pd.testing.assert_frame_equal(tables.trainability(part), tables.trainability(full))
    pd.testing.assert_frame_equal(tables.seed_horizons(part), seeds)
