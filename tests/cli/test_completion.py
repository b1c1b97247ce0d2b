"""Shell completion, through the protocol that bash's script speaks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from farback import cells, encoders, inits, measures, optimizers, schedules, tasks
from farback.cli import completion, main

FAMILIES = {
    "tasks": tasks,
    "cells": cells,
    "inits": inits,
    "encoders": encoders,
    "optimizers": optimizers,
    "schedules": schedules,
    "measures": measures,
}
SRC = Path(__file__).parents[2] / "src"


@pytest.fixture
def tab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], list[str]]:
    """The words that bash is offered for a line with the cursor at its end."""
    (tmp_path / "configs").mkdir()
    for name in ("demo", "depth", "tune"):
        (tmp_path / "configs" / f"{name}.yaml").write_text("")
    (tmp_path / "configs" / "schema.json").write_text("{}")
    monkeypatch.chdir(tmp_path)

    def pressed(line: str) -> list[str]:
        monkeypatch.setenv("_FARBACK_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        monkeypatch.setattr(sys, "argv", ["farback"])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out.split()

    return pressed


@pytest.mark.parametrize("command", ["run", "report", "search", "ui", "dashboard", "doctor"])
def test_configs_are_completed_by_name_and_by_path(command: str, tab: Callable[[str], list[str]]) -> None:
    assert tab(f"farback {command} d") == ["demo", "depth"]
    assert tab(f"farback {command} ") == ["demo", "depth", "tune"]
    assert tab(f"farback {command} configs/t") == ["configs/tune.yaml"]
    assert tab(f"farback {command} x") == []


def test_configs_of_claims_are_completed_and_those_of_the_project_from_a_folder_of_it(
    tab: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs" / "claims").mkdir()
    (tmp_path / "configs" / "claims" / "decay.yaml").write_text("")
    assert tab("farback run d") == ["decay", "demo", "depth"]
    monkeypatch.chdir(tmp_path / "configs" / "claims")
    assert tab("farback run t") == ["tune"]


def test_commands_kinds_and_plug_ins_are_completed(tab: Callable[[str], list[str]]) -> None:
    assert tab("farback sea") == ["search"]
    assert tab("farback list c") == ["cells"]
    assert tab("farback show ") == ["task", "cell", "init", "encoder", "optimizer", "schedule", "measure"]
    assert tab("farback show cell ls") == ["lstm"]
    assert tab("farback show inits ") == inits.names()
    assert tab("farback show nonsense ") == []
    assert tab("farback run demo --executor d") == ["dask"]


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_plug_ins_that_are_offered_are_those_that_are_there(kind: str) -> None:
    assert completion.components(kind) == FAMILIES[kind].names()


def test_a_press_of_tab_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, farback.cli as c; sys.argv = ['farback']\n"
        "try: c.main()\n"
        "finally: print([m for m in ('torch', 'pandas', 'numpy', 'optuna', 'mlflow') if m in sys.modules])"
    )
    words = {"_FARBACK_COMPLETE": "complete_bash", "COMP_WORDS": "farback show cell gr", "COMP_CWORD": "3"}
    environment = {**os.environ, **words, "PYTHONPATH": str(SRC)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["gru", "[]"], done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_can_be_had_for_each_shell(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_FARBACK_COMPLETE", f"source_{shell}")
    monkeypatch.setattr(sys, "argv", ["farback"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "_FARBACK_COMPLETE" in capsys.readouterr().out
