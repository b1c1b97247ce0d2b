"""Searches that train in a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_search import SMALL, Small

from farback.experiment import Experiment, Search
from farback.runs.search.api import checked_search


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """The small search, with overrides, as a config of a project folder of its own."""

    def load(*overrides: str, text: str = SMALL) -> Search:
        folder = tmp_path / "configs"
        folder.mkdir(exist_ok=True)
        (folder / "small.yaml").write_text(text)
        return checked_search(Experiment.load(folder / "small.yaml", overrides))

    return load
