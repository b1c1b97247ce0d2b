"""`farback calibrate`: a page, and an exit code that says whether the measures are right."""

import re
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from farback import measures
from farback.cli import app
from farback.measures import known

runner = CliRunner()


def calibrate(folder: Path):
    return runner.invoke(app, ["calibrate", "--output", str(folder)], env={"COLUMNS": "160"})


@pytest.fixture(autouse=True, scope="module")
def only_the_ring():
    """One case, which takes a moment; all of them take seconds (tests/measures/test_known.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "check_statistics", lambda networks: [])
        patch.setattr(known, "check_diagnosis", lambda functions, networks: [])
        patch.setattr(known, "check_all", partial(known.check_all, cases=["ring"]))
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory, only_the_ring):
    folder = tmp_path_factory.mktemp("calibrate") / "results"
    return calibrate(folder), folder


def test_right_measures_end_with_0(done):
    result, folder = done
    assert result.exit_code == 0, result.output
    checks = pd.read_csv(folder / "calibration.csv")
    assert checks["holds"].all()
    assert f"{len(checks)} of {len(checks)} numbers" in result.output
    assert {"expected", "measured", "error", "tolerance"} <= set(checks.columns)


def test_the_page_has_its_figure_its_numbers_and_how_to_make_it(done):
    _, folder = done
    text = (folder / "report.md").read_text()
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (folder / link).exists(), link
    assert {path.suffix for path in folder.iterdir()} == {".md", ".html", ".csv", ".png", ".svg"}
    assert "`farback calibrate`" in text
    assert "trials of" not in text
    assert text.endswith("check is off.\n")


def test_made_again_it_is_the_same_bytes(done, tmp_path):
    _, folder = done
    calibrate(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in tmp_path.iterdir()
    }


def test_a_wrong_measure_ends_with_1_and_is_named(tmp_path, monkeypatch):
    right = measures.linear_memory_function
    monkeypatch.setattr(measures, "linear_memory_function", lambda W, w, max_lag: right(W * 0.9, w, max_lag))
    result = calibrate(tmp_path)
    assert result.exit_code == 1
    assert "checks failed" in result.output
    page = (tmp_path / "report.md").read_text()
    assert "**Off**: linear_memory_function of ring" in page
    assert "**no**" in page


def test_a_narrow_terminal_still_reads(tmp_path):
    result = runner.invoke(app, ["calibrate", "--output", str(tmp_path)], env={"COLUMNS": "80"})
    lines = result.output.splitlines()
    assert max(map(len, lines[:20])) <= 80
    assert any("time constant" in line for line in lines)
