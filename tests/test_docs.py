"""Documentation runs: code works, and tables are those that were measured. Links and commands: test_links.py."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from farback.cli.list import replaced
from farback.cli.plugin_info import KINDS, entries
from farback.experiment import Experiment

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_config_of_the_readme_loads(tmp_path: Path) -> None:
    (config,) = blocks(README, "yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(config)
    assert len(Experiment.load(path).trials()) == 2 * 3 * 4 * 5


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    (code,) = blocks(README, "python")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    code = code.replace('"configs/smoke.yaml"', '"smoke.yaml"')
    (tmp_path / "smoke.yaml").write_text((ROOT / "configs/smoke.yaml").read_text().replace("steps: 120", "steps: 20"))
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("12 0")


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


def test_the_table_of_the_readme_is_the_one_that_was_measured() -> None:
    """Copy it from results/demo/report.md."""
    shown = README.split("results/demo: begin")[1].split("-->\n", 1)[1].split("<!-- results/demo: end")[0].strip()
    report = (ROOT / "results" / "demo" / "report.md").read_text()
    table = report.split("## Trained at each lag")[1].split("\n\n")[1].strip()
    assert shown == table


@pytest.mark.parametrize("kind", [kind for kind in KINDS if f"<!-- {kind}: begin" in README])
def test_the_plug_in_tables_of_the_readme_are_those_of_the_docstrings(kind: str) -> None:
    """Where there is one: `farback list cells --into README.md` writes it."""
    assert replaced(README, kind, entries(kind), "README.md") == README


def test_the_tree_of_the_readme_is_the_tree() -> None:
    (tree,) = [block for block in blocks(README, "text") if "src/farback/" in block]
    named = set(re.findall(r"^  ([a-z_]+(?:\.py|/))", tree, re.MULTILINE))
    here = {
        path.name + "/" * path.is_dir()
        for path in (ROOT / "src" / "farback").iterdir()
        if path.name not in ("__pycache__", "__init__.py", "py.typed")
    }
    assert named == here


@pytest.mark.parametrize(
    ("page", "index"),
    [
        (page, index)
        for page in ("measures.md", "your-own-network.md")
        for index in range(len(blocks((ROOT / "docs" / page).read_text(), "python")))
    ],
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


def test_the_config_of_the_measures_page_loads(tmp_path: Path) -> None:
    (config,) = blocks((ROOT / "docs" / "your-own-network.md").read_text(), "yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(config)
    assert len(Experiment.load(path).trials()) == 10


def test_the_measures_page_names_every_measure_and_every_table() -> None:
    from farback import measures, tables

    text = (ROOT / "docs" / "measures.md").read_text()
    for name in measures.names():
        assert f"`{name}`" in text, name
    for name in re.findall(r"`(\w+)`", text.split("exact intervals (")[1].split(")")[0]):
        assert hasattr(tables, name), name
