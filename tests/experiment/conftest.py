from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from farback.experiment import ConfigError, Experiment

Load = Callable[..., Experiment]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """A function that loads a text as demo.yaml in an empty folder, so that messages begin with "demo.yaml"."""
    monkeypatch.chdir(tmp_path)

    def loaded(text: str | bytes, *overrides: str) -> Experiment:
        Path("demo.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return Experiment.load("demo.yaml", overrides)

    return loaded


@pytest.fixture
def problems(load: Load) -> Callable[..., list[str]]:
    """A function that returns the lines of the error about a text."""

    def lines(text: str | bytes, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        return str(caught.value).splitlines()

    return lines
