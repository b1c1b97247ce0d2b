"""A page of a search is not written from a study that does not fit its networks."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_search import Finished, loaded

from farback.experiment import Search
from farback.records.user_error import UserError
from farback.runs.search.search_page import publish
from farback.stores.memory import Memory

VALUE = "has the values .* the scores of its networks give"
PARAMETER = "has parameters that do not give the networks"


@pytest.fixture
def study(finished: Finished, tmp_path: Path) -> Iterator[tuple[Search, Memory, sqlite3.Connection]]:
    """A copy of a search that is done, its store, and the database of its studies."""
    shutil.copytree(finished.experiment.root, tmp_path / "copy")
    path = tmp_path / "copy" / "results" / "store" / "optuna.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as opened:
        yield loaded(tmp_path / "copy"), finished.store, opened


def test_an_unchanged_study_has_a_page(study: tuple[Search, Memory, sqlite3.Connection]) -> None:
    search, store, _ = study
    assert publish(search, store).html.exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("update trial_values set value = value + 0.25 where trial_value_id = 2", VALUE),
        ("update trial_params set param_value = param_value * 1.0001 where param_id = 1", PARAMETER),
        ("update trial_params set param_value = -1 where param_id = 1", PARAMETER),
    ],
)
def test_a_changed_value_of_a_study_is_named(
    study: tuple[Search, Memory, sqlite3.Connection], change: str, problem: str
) -> None:
    search, store, opened = study
    assert opened.execute(change).rowcount == 1
    with pytest.raises(UserError, match=rf"trial \d of the study small/.* {problem}.*restore a copy"):
        publish(search, store)
