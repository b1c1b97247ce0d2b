"""Every command asks the same door: a database of another program is refused, and nothing in it is changed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from typer.testing import CliRunner

import farback
import servers
from farback.cli import app
from farback.records.user_error import UserError
from farback.stores import database
from farback.stores.mlflow import MLflow
from farback.stores.studies import opened

WithStore = Callable[[Path], Path]
CONFIG = """\
name: tiny
base: {task: {name: recall, symbols: 2}, lag: 1, cell: elman, hidden: 2, batch: 2, steps: 1, evaluate_every: 1}
"""
SEARCH = "search: {space: {optimizer.lr: {log: [1.0e-3, 1.0e-1]}}, objective: skill, trials: 1, report: {seeds: 1}}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "configs" / "sought.yaml").write_text(CONFIG.replace("tiny", "sought") + SEARCH)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bookmarks(path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("create table bookmarks (address)")
        made.commit()
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.db*") if path.suffix != ".lock"}


@pytest.mark.parametrize(
    "command",
    [
        "run tiny --store",
        "run tiny --dry-run --store",
        "report tiny --store",
        "ui --store",
        "search sought --store",
        "search sought --storage",
        "dashboard --storage",
        "doctor --store",
        "doctor --storage",
    ],
)
def test_no_command_touches_another_program_s_database(project: Path, command: str, with_store: WithStore) -> None:
    uri = f"sqlite:///{bookmarks(project / 'bookmarks.db')}"
    if command == "doctor --storage":
        with_store(project)
    before = content(project)
    result = CliRunner().invoke(app, [*command.split(), uri])
    assert isinstance(result.exception, UserError | SystemExit), result.output
    shown = result.output + str(result.exception)
    owner = "Optuna" if "storage" in command else "MLflow"
    assert f"bookmarks.db is not {owner}'s; nothing was changed" in " ".join(shown.split())
    assert content(project) == before


def test_no_function_touches_another_program_s_database(project: Path) -> None:
    uri = f"sqlite:///{bookmarks(project / 'bookmarks.db')}"
    before = content(project)
    for call in (lambda: farback.frame("tiny", uri), lambda: farback.run("tiny", workers=1, store=uri)):
        with pytest.raises(UserError, match="nothing was changed"):
            call()
    assert content(project) == before


@pytest.mark.parametrize("both", [False, True])
def test_the_two_programs_do_not_share_a_database(tmp_path: Path, empty_database: Path, both: bool) -> None:
    """Each would take the other's table of versions for its own."""
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    opened(f"sqlite:///{tmp_path}/optuna.db").rdb.engine.dispose()
    if both:
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as made:
            for name in database.OWN_TABLES["Optuna"]:
                made.execute(f"create table {name} (a)")
            made.commit()
    before = content(tmp_path)
    with pytest.raises(UserError, match="belongs to MLflow, and Optuna needs its own; nothing was changed"):
        opened(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(UserError, match="belongs to Optuna, and MLflow needs its own; nothing was changed"):
        MLflow(f"sqlite:///{tmp_path}/{'mlflow' if both else 'optuna'}.db")
    assert content(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("open_it", [MLflow, opened])
def test_another_program_s_database_on_a_server_is_refused(
    postgres: servers.Postgres, open_it: Callable[[str], object], tmp_path: Path
) -> None:
    uri = postgres.make(f"foreign {tmp_path.name}")
    with database.engine(uri).begin() as connection:
        connection.execute(sqlalchemy.text("create table bookmarks (address text)"))
    with pytest.raises(UserError, match="nothing was changed"):
        open_it(uri)
    with database.engine(uri).connect() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == ["bookmarks"]
