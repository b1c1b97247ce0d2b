"""`farback.frame`: which trials it returns."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import farback
from farback.records.user_error import UserError
from farback.runs.search.api import forget
from farback.stores.memory import Memory

CONFIG = """\
name: tiny
base: {task: {name: recall, symbols: 2}, cell: elman, hidden: 2, batch: 2, steps: 2, evaluate_every: 1}
sweep: [{lag: [1, 2], seed: {range: 2}}]
"""
SEARCH = """\
name: sought
base: {task: {name: recall, symbols: 2}, lag: 1, cell: elman, hidden: 2, batch: 2, steps: 2, evaluate_every: 1}
search: {space: {hidden: [2, 3, 4]}, objective: skill, trials: 2, seeds: 1, report: {seeds: 1}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "configs" / "sought.yaml").write_text(SEARCH)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_frame_has_the_trials_of_the_config_as_it_stands(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Memory()
    old = farback.Experiment.load("configs/tiny.yaml")
    farback.run(old, workers=1, store=store, progress=False)
    (project / "configs" / "tiny.yaml").write_text(CONFIG.replace("steps: 2", "steps: 3"))
    with caplog.at_level(logging.WARNING, "farback"):
        assert farback.frame("tiny", store).empty
    assert "no trial of configs/tiny.yaml as it stands is recorded, but 4 others" in caplog.text
    new = farback.Experiment.load("configs/tiny.yaml")
    farback.run(new, workers=1, store=store, progress=False)
    keys = {trial.key for trial in new.trials()}
    for named in ("tiny", "tiny.yaml", "configs/tiny", Path("configs/tiny.yaml"), new):
        scores = farback.frame(named, store)
        assert set(scores["key"]) == keys
        assert "current" not in scores
        assert list(scores.index) == list(range(len(scores)))
    every = farback.frame("tiny", store, all=True)
    assert set(every["key"]) == keys | {trial.key for trial in old.trials()}
    assert set(every.loc[every["current"], "key"]) == keys
    assert set(every.loc[~every["current"], "steps"]) == {2}


def test_a_frame_of_a_deleted_config_has_all_trials_and_a_note(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Memory()
    farback.run("tiny", workers=1, store=store, progress=False)
    (project / "configs" / "tiny.yaml").unlink()
    with caplog.at_level(logging.WARNING, "farback"):
        assert farback.frame("tiny", store)["key"].nunique() == 4
    assert "tiny has no config: these are all 4 trials that are recorded of it" in caplog.text
    assert not farback.frame("tiny", store, all=True)["current"].any()


def test_a_wrong_name_names_near_ones_and_makes_nothing(project: Path) -> None:
    for store in (None, Memory(), f"sqlite:///{project}/other/mlflow.db"):
        with pytest.raises(UserError, match=r"there is no config tinny.yaml in .*; did you mean 'tiny'\?"):
            farback.frame("tinny", store)
    assert sorted(path.name for path in project.iterdir()) == ["configs"]


def test_the_frame_of_a_search_has_the_trials_of_its_studies(project: Path) -> None:
    """A study of an earlier config is deleted by --restart; its networks stay in the store."""
    store = Memory()
    assert farback.frame("sought", store).empty
    farback.search("sought", workers=1, store=store, progress=False)
    first = farback.frame("sought", store)
    assert first["key"].nunique() == len(store.experiments["sought"].results)
    (project / "configs" / "sought.yaml").write_text(SEARCH.replace("hidden: [2, 3, 4]", "hidden: [5, 6]"))
    assert farback.frame("sought", store).empty
    assert not farback.frame("sought", store, all=True)["current"].any()
    assert forget(farback.Experiment.load("configs/sought.yaml"), None) == ["sought"]
    farback.search("sought", workers=1, store=store, progress=False)
    every = farback.frame("sought", store, all=True)
    assert set(every.loc[every["current"], "hidden"]) <= {5, 6, 2}  # 2: the default setting, which `base` has
    assert set(every.loc[~every["current"], "key"]) <= set(first["key"])
    assert set(farback.frame("sought", store)["key"]) == set(every.loc[every["current"], "key"])


def test_reading_a_frame_imports_neither_mlflow_nor_the_kernels(
    project: Path, with_store: Callable[[Path], Path]
) -> None:
    """These imports took most of the ten seconds that a frame of 60 trials needed."""
    with_store(project)
    farback.run("tiny", workers=1, progress=False)
    code = (
        "import sys, farback\n"
        "assert farback.frame('tiny')['key'].nunique() == 4\n"
        "print(sorted({'mlflow', 'optuna', 'numba', 'matplotlib', 'sklearn', 'scipy.special'} & sys.modules.keys()))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.strip() == "[]"
