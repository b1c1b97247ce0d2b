"""Searches that train in a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_search import Finished, Small, loaded

from farback.runs.search import search
from farback.stores.memory import Memory
from farback.stores.studies import opened


@pytest.fixture(scope="session")
def empty_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with Optuna's tables and no study, to be copied: Optuna takes a second to make one."""
    path = tmp_path_factory.mktemp("studies") / "optuna.db"
    opened(f"sqlite:///{path}")
    return path


@pytest.fixture
def small(tmp_path: Path, empty_studies: Path) -> Small:
    """Loads the small search, with overrides or another text, as a config in a project folder of its own."""
    (tmp_path / "results" / "store").mkdir(parents=True)
    shutil.copy(empty_studies, tmp_path / "results" / "store" / "optuna.db")
    return lambda *overrides, **text: loaded(tmp_path, *overrides, **text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The small search, done: for tests that only read it."""
    experiment, store = loaded(tmp_path_factory.mktemp("project")), Memory()
    return Finished(experiment, search(experiment, workers=1, store=store), store)
