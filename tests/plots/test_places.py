"""Figures have the same bytes whatever matplotlib is told by the environment, the user or the current directory."""

import os
import subprocess
import sys

import pytest

DRAW = """
import sys
from pathlib import Path
from farback import plots
sys.path.insert(0, sys.argv[1])
from conftest import horizon_table
plots.save(plots.forest(horizon_table(["GRU", "LSTM, chrono"])), Path(sys.argv[2]) / "figure")
"""
OTHER_STYLE = "text.usetex: True\naxes.facecolor: red\nlines.linewidth: 9\nsavefig.transparent: True\nsvg.id: own\n"


def drawn(folder, **variables):
    """The bytes of a figure that a new process draws, started in a folder."""
    folder.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | variables
    command = [sys.executable, "-c", DRAW, os.path.dirname(__file__), str(folder)]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return [(folder / f"figure.{ending}").read_bytes() for ending in ("png", "svg")]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("plain"))


def test_a_figure_does_not_depend_on_anything_of_its_surroundings(tmp_path, plain):
    """All at once; if this fails, the slow tests below say which it is."""
    for folder in (tmp_path, tmp_path / "elsewhere"):
        folder.mkdir(exist_ok=True)
        (folder / "matplotlibrc").write_text(OTHER_STYLE)
    assert drawn(tmp_path, MPLCONFIGDIR=str(tmp_path / "elsewhere"), MPLBACKEND="module://missing.inline") == plain


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["module://a_package_that_is_missing.backend_inline", "TkAgg", "no-such-backend"])
def test_a_figure_does_not_depend_on_the_backend(tmp_path, plain, backend):
    assert drawn(tmp_path, MPLBACKEND=backend) == plain


@pytest.mark.slow
def test_a_figure_does_not_depend_on_the_folder_s_matplotlibrc(tmp_path, plain):
    (tmp_path / "matplotlibrc").write_text(OTHER_STYLE)
    assert drawn(tmp_path) == plain


@pytest.mark.slow
def test_a_figure_does_not_depend_on_the_user_s_matplotlibrc(tmp_path, plain):
    (tmp_path / "matplotlibrc").write_text(OTHER_STYLE)
    assert drawn(tmp_path / "elsewhere", MPLCONFIGDIR=str(tmp_path)) == plain


def test_the_caller_keeps_a_valid_backend(tmp_path):
    code = "import os, farback.plots, matplotlib; print(matplotlib.rcParams['backend'], os.environ['MPLBACKEND'])"
    environment = {**os.environ, "MPLBACKEND": "pdf"}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.split() == ["pdf", "pdf"]
