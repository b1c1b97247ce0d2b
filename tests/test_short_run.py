"""Init, run, search, calibrate, report and doctor, each as a command: what `make test-lowest` runs.

It needs pytest and what farback installs, and nothing else, so that it runs beside any allowed version of a library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SEARCH = """
name: small
base:
  task: {name: recall, symbols: 2, filler: blank}
  lag: 2
  hidden: 4
  batch: 8
  steps: 20
  evaluate_every: 10
search:
  groups:
    cell: [elman, gru]
  space:
    optimizer.lr: {log: [1.0e-3, 1.0e-1]}
    init: [torch, orthogonal]
  objective: skill
  trials: 4
  report: {seeds: 2}
"""
SMALL = ("--set", "steps=50", "--only", "seed=0", "--workers", "2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    command(folder, "init")
    (folder / "configs" / "small.yaml").write_text(SEARCH)
    return folder


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`farback WORDS` in a folder; it must succeed."""
    environment = {name: text for name, text in os.environ.items() if name not in ("MLFLOW_TRACKING_URI", "NAME")}
    call = [sys.executable, "-c", "from farback.cli import main; main()", *words]
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_sweep_is_trained_once_and_its_page_is_rebuilt_from_the_store(project: Path) -> None:
    command(project, "run", "first", *SMALL)
    page = project / "results" / "first--steps=50"
    tables = {path.name: path.read_bytes() for path in page.glob("*.csv")}
    assert {"report.md", "report.html", "success.png"} <= {path.name for path in page.iterdir()}
    again = json.loads(command(project, "run", "first", *SMALL, "--json").stdout)
    assert (again["trained"], again["reused"], again["failed"]) == (0, 12, 0)
    for path in page.iterdir():
        path.unlink()
    command(project, "report", "first", "--set", "steps=50")
    assert {path.name: path.read_bytes() for path in page.glob("*.csv")} == tables
    command(project, "doctor", "--json")


def test_a_search_spends_its_budget_and_reports_its_winners(project: Path) -> None:
    document = json.loads(command(project, "search", "small", "--workers", "2", "--json").stdout)
    assert (document["trials"], document["done"], document["failed"]) == (8, 8, 0)
    assert "report.md" in os.listdir(project / "results" / "small")
    again = json.loads(command(project, "search", "small", "--workers", "2", "--json").stdout)
    assert (again["trials"], again["done"]) == (8, 8)
    command(project, "doctor", "--json")


def test_the_measures_give_the_known_numbers(project: Path) -> None:
    document = json.loads(command(project, "calibrate", "--json").stdout)
    assert document["off"] == 0
    assert all(check["holds"] for check in document["checks"])
