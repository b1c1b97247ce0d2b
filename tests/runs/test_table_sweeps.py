"""Experiments on files: a sweep with its page, a tuned sweep and a search, on data that say nothing about lags."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import farback
from farback import tables
from farback.experiment import ConfigError, Experiment
from farback.runs.search import search_page
from farback.runs.search.api import checked_search
from farback.runs.sweep import checked_sweep
from farback.runs.sweep_page import publish
from farback.stores import run_metadata
from farback.stores.memory import Memory
from farback.trials.trial import Trial

BASE = """
question: How far back does it help to look?
base:
  task: {{name: table, file: data.npz}}
  hidden: 4
  batch: 16
  steps: {steps}
  evaluate_every: 20
  optimizer: {{name: adam, lr: 0.02}}
"""
SWEEP = BASE + "sweep:\n  - cell: [gru, memoryless]\n    seed: {{range: 3}}\n"
TUNED = BASE + "sweep:\n  - cell: [elman]\n    seed: {{range: 2}}\n    tune: {{optimizer.lr: [0.01, 0.02]}}\n"
SEARCH = BASE + (
    "search:\n  groups: {{cell: [elman, memoryless]}}\n  space:\n    optimizer.lr: {{log: [1.0e-3, 1.0e-1]}}\n"
    "  objective: {objective}\n  trials: 3\n  seeds: 1\n  sampler: {{name: random, seed: 3}}\n  report: {{seeds: 2}}\n"
)
FRESH = ("fresh sequences", "fresh data")  # no page may call finite data so


def config(folder: Path, text: str, arrays: dict[str, Any], **values: Any) -> Path:
    np.savez(folder / "data.npz", **arrays)
    (folder / "configs").mkdir(exist_ok=True)
    path = folder / "configs" / "own.yaml"
    path.write_text(text.format(**{"steps": 40, **values}).replace("data.npz", str(folder / "data.npz")))
    return path


def coins(rng: np.random.Generator) -> dict[str, Any]:
    return {"x": rng.integers(0, 2, (60, 8, 1)), "y": rng.integers(0, 2, 60)}


def first_bits(rng: np.random.Generator) -> dict[str, Any]:
    """The answer is the bit of two steps ago."""
    x = rng.integers(0, 2, (300, 3, 1))
    return {"x": x, "y": x[:, 0, 0]}


def swept(path: Path, store: Memory) -> tuple[Any, str]:
    sweep = checked_sweep(Experiment.load(path))
    farback.run(sweep, workers=1, store=store)
    page = publish(sweep, store)
    return page, page.report.read_text()


@pytest.mark.parametrize(
    ("data", "steps", "succeed"), [(coins, 400, ["0/3", "0/3"]), (first_bits, 300, ["3/3", "0/3"])]
)
def test_the_page_of_a_table_without_lags_has_test_scores_and_no_horizon(
    tmp_path: Path, rng: np.random.Generator, data: Callable[..., Any], steps: int, succeed: list[str]
) -> None:
    """The network that has memorised 36 coin flips does not succeed; the one that remembers a bit does."""
    store = Memory()
    page, text = swept(config(tmp_path, SWEEP, data(rng), steps=steps), store)
    names = [part.name for part in page.analysis.parts]
    assert names == ["test_scores", "sizes"]
    assert page.analysis.tables[0].shown["succeed"].tolist() == succeed
    assert page.analysis.headline.startswith("Test skill (data.npz, 4 units")
    assert "there is no horizon, because the data do not say which lags" in page.analysis.headline
    assert ("no network is better than chance on test sequences" in page.analysis.headline) == (data is coins)
    assert (page.analysis.metrics, page.analysis.tags) == ({}, {})
    assert not any(words in text for words in FRESH)
    assert "for training" in text
    assert "disjoint parts" in text
    frame = store.frame("own")
    assert set(frame.loc[frame["measure"] == "retention", "lag"]) == {-1}
    if data is coins:
        last = frame[(frame["measure"] == "train") & (frame["statistic"] == "loss") & (frame["label"] == "GRU")]
        assert last.groupby("key")["value"].last().max() < 0.3  # of 0.69: they have memorised the training part


def test_a_table_with_lags_has_a_horizon(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 2, (300, 4, 1))
    y, lag = np.zeros((300, 4), int), np.full((300, 4), -1)
    y[:, 3], lag[:, 3] = x[:, 1, 0], 2
    text = SWEEP.replace("seed:", "lag: [2]\n    seed:")
    page, shown = swept(config(tmp_path, text, {"x": x, "y": y, "lag": lag}, steps=300), Memory())
    horizons = page.analysis.tables[0].frame.set_index("label")["horizon"]
    assert horizons["GRU"].startswith("at least 2")
    assert horizons["memoryless"].startswith("below 2")
    assert not any(words in shown for words in FRESH)


def test_a_sweep_tunes_on_a_table_without_lags(tmp_path: Path, rng: np.random.Generator) -> None:
    page, text = swept(config(tmp_path, TUNED, first_bits(rng)), Memory())
    assert {"test_scores", "choices"} <= {part.name for part in page.analysis.parts}
    assert page.analysis.tables[0].frame["trials"].tolist() == [2]
    assert "lag 2" not in text


@pytest.mark.parametrize("objective", ["skill", pytest.param("updates", marks=pytest.mark.slow)])
def test_a_search_on_a_table_without_lags_reports_test_skill(
    tmp_path: Path, rng: np.random.Generator, objective: str
) -> None:
    store = Memory()
    path = config(tmp_path, SEARCH, first_bits(rng), objective=objective)
    experiment = checked_search(Experiment.load(path))
    farback.search(experiment, workers=1, store=store)
    text = search_page.publish(experiment, store).report.read_text()
    assert ("test skill" in text) is (objective == "skill")
    assert "at lag" not in text.partition("## How this was made")[0]
    assert not any(words in text for words in FRESH)


@pytest.mark.parametrize("objective", ["horizon", "area", "{{skill: 2}}"])
def test_an_objective_that_needs_lags_is_an_error_before_anything_runs(
    tmp_path: Path, rng: np.random.Generator, objective: str
) -> None:
    with pytest.raises(ConfigError, match="table does not say which lags its answers need: use skill without a lag"):
        Experiment.load(config(tmp_path, SEARCH, first_bits(rng), objective=objective.format()))


@pytest.mark.parametrize("lag", ["[1, 2]", "{{adaptive: [1, 2]}}"])
def test_a_sweep_over_the_lag_of_a_table_without_lags_is_an_error(
    tmp_path: Path, rng: np.random.Generator, lag: str
) -> None:
    text = SWEEP.replace("seed: {{range: 3}}", f"lag: {lag}" + ("\n    seed: {{range: 3}}" if lag[0] == "[" else ""))
    with pytest.raises(ConfigError, match="does not say which lags its answers need: leave lag out"):
        Experiment.load(config(tmp_path, text, first_bits(rng)))


def test_a_missing_value_is_an_error_with_the_line_of_the_config(tmp_path: Path, rng: np.random.Generator) -> None:
    frame = pd.DataFrame({"who": np.repeat(np.arange(9), 3), "x": rng.normal(size=27), "y": rng.integers(0, 2, 27)})
    frame.loc[4, "x"] = np.nan
    frame.to_csv(tmp_path / "holes.csv", index=False)
    path = config(tmp_path, SWEEP, first_bits(rng))
    columns = "columns: {sequence: who, inputs: [x], target: y}"
    path.write_text(path.read_text().replace(f"{tmp_path}/data.npz", f"{tmp_path}/holes.csv, {columns}"))
    with pytest.raises(ConfigError, match=r"own\.yaml:\d+.*holes\.csv, row 5 below the header, column 'x': the value"):
        Experiment.load(path)


def test_the_tracker_gets_the_digest_and_the_measured_chance(tmp_path: Path, rng: np.random.Generator) -> None:
    np.savez(tmp_path / "data.npz", **coins(rng))
    trial = Trial.model_validate({"task": {"name": "table", "file": str(tmp_path / "data.npz")}, "cell": "gru"})
    dataset = run_metadata.dataset(trial)
    assert dataset["digest"] == trial.task.digest()
    assert f'"chance_loss": {trial.task.chance().loss}' in dataset["profile"]
    assert "lag" not in run_metadata.run_name(trial)


def test_scores_without_lag_are_medians_over_seeds() -> None:
    def row(seed: int, statistic: str, value: float, status: str = "finished") -> dict[str, Any]:
        own = {"key": f"k{seed}", "label": "GRU", "seed": seed, "status": status, "trained_lag": 9}
        lagless = {"measure": "retention", "step": 5, "lag": -1, "statistic": statistic, "value": value}
        return {**own, "train_lags": "fixed", **lagless}

    values = {0: (0.2, 0.6, 0), 1: (0.7, 0.9, 1), 2: (0.4, 0.7, 0), 4: (0.9, 1.0, 1)}
    rows = [
        row(seed, name, value)
        for seed, numbers in values.items()
        for name, value in zip(("skill", "accuracy", "success"), numbers, strict=True)
    ]
    rows += [row(seed, "chance_accuracy", 0.5) for seed in values]
    rows += [{**row(3, "loss", np.nan, "diverged"), "measure": "training", "statistic": "updates"}]
    (found,) = tables.scores_without_lag(pd.DataFrame(rows)).to_dict("records")
    assert found["trials"] == 5
    assert found["median"] == 0.4  # of 0, 0.2, 0.4, 0.7 and 0.9: a network that diverged has skill 0
    assert (found["successes"], found["diverged"]) == (2, 1)
