"""Documentation runs: code works, and tables are those that were measured. Links and commands: test_links.py."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from farback.cli.list import between, markdown
from farback.cli.plugin_info import KINDS, components
from farback.experiment import Experiment

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMPONENTS = (ROOT / "docs" / "reference" / "components.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_config_of_the_readme_loads(tmp_path: Path) -> None:
    (config,) = blocks(README, "yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(config)
    assert len(Experiment.load(path).trials()) == 2 * 3 * 4 * 5


@pytest.mark.slow
def test_the_python_of_the_page_on_sweeps_runs(tmp_path: Path) -> None:
    code = "\n".join(blocks((ROOT / "docs" / "sweeps.md").read_text(), "python"))
    (tmp_path / "configs").mkdir()
    config = (ROOT / "configs/smoke.yaml").read_text().replace("steps: 120", "steps: 20")
    (tmp_path / "configs/smoke.yaml").write_text(config)
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("12 0")
    assert {"horizons.png", "horizons.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_the_cell_of_the_recipe_works() -> None:
    """CONTRIBUTING's ten lines, held to the step-equals-definition check that its docstring states."""
    import torch

    source = blocks((ROOT / "CONTRIBUTING.md").read_text(), "python")[0]
    names: dict[str, object] = {"__name__": "recipe.ema"}
    exec(compile(source, "ema.py", "exec"), names)
    cell = names["Ema"]()
    p = {name: torch.randn(1, *shape) for name, shape in cell.parameters(2, 3).items()}
    x, h = torch.randn(1, 1, 4, 2), torch.randn(1, 4, 3)
    (after,) = cell.step(p, cell.project(p, x)[:, 0], (h,))
    inner = x[0, 0] @ p["weight_ih"][0].T + p["bias_ih"] + h[0] @ p["weight_hh"][0].T + p["bias_hh"]
    torch.testing.assert_close(after[0], 0.9 * h[0] + 0.1 * torch.tanh(inner))


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_of_components_are_those_of_the_docstrings(kind: str) -> None:
    """`farback list cells --into docs/reference/components.md` writes one of them."""
    assert between(COMPONENTS, kind, markdown(kind, components(kind)), "components.md") == COMPONENTS


def test_the_source_tree_that_is_described_is_there() -> None:
    (tree,) = blocks((ROOT / "docs" / "source-tree.md").read_text(), "text")
    named = set(re.findall(r"^  ([a-z_]+(?:\.py|/))", tree, re.MULTILINE))
    here = {
        path.name + "/" * path.is_dir()
        for path in (ROOT / "src" / "farback").iterdir()
        if path.name not in ("__pycache__", "__init__.py", "py.typed")
    }
    assert named == here


def test_the_import_rows_that_are_described_are_those_of_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    rows = re.findall(r"^\| \d \| (.*) \|$", (ROOT / "docs" / "source-tree.md").read_text(), re.MULTILINE)
    assert [row.split(", ") for row in rows] == [layer.split(" | ") for layer in contract["layers"]]


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= 9000


@pytest.mark.parametrize(
    ("page", "index"),
    [
        (page, index)
        for page in ("measures.md", "your-own-network.md")
        for index, code in enumerate(blocks((ROOT / "docs" / page).read_text(), "python"))
        if "print(" in code
    ]
    + [("arrays.md", 0)],
)
def test_the_python_of_the_measures_pages_runs(page: str, index: int, capsys: pytest.CaptureFixture[str]) -> None:
    """And prints what the comments behind it say, where they say a number or a text."""
    import torch

    code = blocks((ROOT / "docs" / page).read_text(), "python")[index]
    with torch.random.fork_rng(devices=[]):
        exec(compile(code, page, "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.splitlines()
    comments = [line.partition("  # ")[2] for line in code.splitlines() if line.lstrip().startswith("print(")]
    assert len(printed) == len(comments)
    promised = [
        (re.match(r'"([^"]+)"|([\d.]+):', comment), line) for comment, line in zip(comments, printed, strict=True)
    ]
    kept = [(match[1] or match[2], line) for match, line in promised if match]
    assert kept
    for expected, line in kept:
        assert line == expected, code


ARRAYS = (ROOT / "docs" / "arrays.md").read_text()


def test_the_scripts_of_the_page_on_arrays_are_the_examples() -> None:
    """Apart from their docstrings. That of reservoirpy is not run here, because farback does not depend on it."""
    for name, code in zip(("esn", "transformer"), blocks(ARRAYS, "python")[1:], strict=True):
        assert (ROOT / "docs" / "examples" / f"{name}.py").read_text().partition('"""\n\n')[2] == code


@pytest.mark.slow
def test_the_transformer_of_the_page_on_arrays_prints_what_the_page_says() -> None:
    script = str(ROOT / "docs" / "examples" / "transformer.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == blocks(ARRAYS, "text")[1]


def test_the_config_of_the_measures_page_loads(tmp_path: Path) -> None:
    *_, config = blocks((ROOT / "docs" / "your-own-network.md").read_text(), "yaml")
    path = tmp_path / "trained_network.yaml"
    path.write_text(config)
    assert len(Experiment.load(path).trials()) == 10


def test_the_module_of_the_guide_keeps_every_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from farback.cells.module import ModuleCell
    from farback.networks.module_laws import laws

    text = (ROOT / "docs" / "your-own-network.md").read_text()
    monkeypatch.setenv("FARBACK_PROJECT", "")  # restored afterwards: loading a config sets it
    (tmp_path / "configs").mkdir()
    (tmp_path / "mine.py").write_text(blocks(text, "python")[0])
    path = tmp_path / "configs" / "decay.yaml"
    path.write_text(blocks(text, "yaml")[0])
    trials = Experiment.load(path).trials()
    assert len(trials) == 24
    for cell in {trial.cell for trial in trials if isinstance(trial.cell, ModuleCell)}:
        checked = laws(cell, 9, 16)
        assert all(law.holds for law in checked)
    table = text.split("| if the module breaks it |")[1].split("\n\n")[0]
    assert all(law.name in table for law in checked)


def test_the_measures_page_names_every_measure_and_every_table() -> None:
    from farback import measures, tables

    text = (ROOT / "docs" / "measures.md").read_text()
    for name in measures.names():
        assert f"`{name}`" in text, name
    for name in re.findall(r"`(\w+)`", text.split("exact intervals (")[1].split(")")[0]):
        assert hasattr(tables, name), name
