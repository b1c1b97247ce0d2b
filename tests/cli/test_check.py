"""`farback check`: the laws of a user's module."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farback.cli import app
from farback.records.user_error import UserError

MINE = """
from torch import nn


class Fine(nn.GRUCell):
    pass


class Forgets(nn.GRU):
    def forward(self, x, h=None):
        return super().forward(x)
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARBACK_PROJECT", "")  # restored afterwards


def test_a_module_that_keeps_all_laws_exits_with_0() -> None:
    result = CliRunner().invoke(app, ["check", "mine:Fine", "--with", "bias=false", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["broken"] == 0
    assert {law["holds"] for law in document["laws"]} == {True}


def test_a_broken_law_exits_with_1_and_is_shown_with_what_was_found() -> None:
    result = CliRunner().invoke(app, ["check", "mine:Forgets"], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "a state is carried over a split │ fails │ it gives other outputs when a sequence is run" in result.output
    assert "1 of 9 laws do not hold" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine:Fin"], r"mine\.py has no 'Fin'; did you mean 'Fine'"),
        (["mine:Fine", "--with", "bias"], "--with takes KEY=VALUE, such as decay=0.9, got 'bias'"),
    ],
)
def test_a_mistake_is_an_error_of_one_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["check", *arguments])
    assert isinstance(result.exception, UserError)
    with pytest.raises(UserError, match=message):
        raise result.exception
