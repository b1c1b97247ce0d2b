"""The guide runs: its code prints what it says, its plug-ins keep the laws, its commands and configs are taken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import farback
from farback import measures
from farback.experiment import Experiment, Search, schema
from farback.records.own_files import VARIABLE
from pages import ran

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXTEND = (DOCS / "extend.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PLUGINS = re.findall(r"[Tt]he file `parts/(\w+)/(\w+)\.py`.*?```python\n(.*?)```", EXTEND, re.DOTALL)
LAWS = {
    "cells": ("tests/cells/test_cell_laws.py", "patient"),
    "tasks": ("tests/tasks/test_task_laws.py", "modular_sum"),
    "measures": ("tests/measures/test_measure_laws.py", "washout and (recall or elman or lstm or lru or before)"),
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["from-the-equation.md", "start.md"])
def test_a_page_prints_what_it_says(page: str) -> None:
    import torch

    text = (DOCS / page).read_text()
    with torch.random.fork_rng(devices=[]):
        assert ran(text, page) == text


@pytest.mark.slow
def test_the_page_on_python_prints_what_it_says() -> None:
    text = (DOCS / "from-python.md").read_text()
    assert ran(text, "from-python.md") == text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the components of the page."""
    root = tmp_path_factory.mktemp("extended")
    for kind, name, code in PLUGINS:
        path = root / "parts" / kind / f"{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(code)
    return root


def extended(place: Path, *arguments: str, cwd: Path = ROOT) -> str:
    """What Python prints where the components of the project are in use."""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["PYTHONPATH"] = os.pathsep.join([str(place), environment.get("PYTHONPATH", "")])
    environment[VARIABLE] = str(place)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_shows_a_cell_a_task_and_a_measure() -> None:
    assert [kind for kind, *_ in PLUGINS] == list(LAWS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAWS)
def test_the_plug_ins_of_the_page_keep_the_laws(kind: str, place: Path) -> None:
    path, names = LAWS[kind]
    said = extended(place, "-m", "pytest", "-n", "0", path, "-k", names)
    assert re.search(r"^\d+ passed", said, re.MULTILINE), said


@pytest.mark.slow
def test_the_config_of_the_page_trains_the_plug_ins_of_the_page(place: Path) -> None:
    (config,) = blocks(EXTEND, "yaml")
    small = config.replace("steps: 500", "steps: 10").replace("{range: 5}", "[0]").replace("lag: [5, 20]", "lag: [5]")
    assert small.count("steps: 10\n") == small.count("seed: [0]") == small.count("lag: [5]") == 1
    (place / "extended.yaml").write_text(small)
    code = """
        import farback, torch
        summary = farback.run("extended.yaml", workers=1)
        print(summary.trained, summary.failed)
        frame = farback.frame("extended")
        print(sorted(set(frame["cell"])), sorted(set(frame["task"])))
        print(sorted(set(frame[frame["measure"] == "washout"]["lag"])))
        from farback import cells, inits, measures
        from parts.measures.washout import washout
        from farback.networks.network import Architecture, draw
        leaky = draw(Architecture(cells.build("leaky_integrator"), 2, 3, 0), [inits.build("torch")], [0], 5)
        ratio = washout(leaky, torch.randn(4, 8, 2))
        print(max(abs(ratio - 0.9 ** torch.arange(8).numpy())) < 1e-6)
    """
    said = extended(place, "-c", textwrap.dedent(code), cwd=place).splitlines()
    assert said[0] == "3 0"
    assert said[1] == "['RNN tanh', 'patient (longest 20)', 'patient (longest 200)'] ['modular_sum']"
    assert said[2] == "[0, 1, 2, 3, 4, 5]"
    assert said[3] == "True"


@pytest.mark.slow
def test_the_package_of_the_page_brings_them_as_entry_points(tmp_path: Path) -> None:
    pytest.importorskip("farback.records.entry_points")
    (toml,) = blocks(EXTEND, "toml")
    project = tomllib.loads(toml)["project"]
    package, about = tmp_path / "memory_lab", tmp_path / "memory_lab-0.1.0.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").touch()
    for _, name, code in PLUGINS:
        (package / f"{name}.py").write_text(code)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = {f"[{group}]": named for group, named in project["entry-points"].items()}
    lines = [line for head, named in groups.items() for line in (head, *(f"{k} = {v}" for k, v in named.items()))]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    code = """
        from farback import cells, measures, tasks
        print(cells.build({"name": "patient", "longest": 20.0}).label(), tasks.build("modular_sum").chance().accuracy)
        print("patient" in cells.names(), measures.build("washout").name)
    """
    said = extended(tmp_path, "-c", textwrap.dedent(code), cwd=tmp_path).splitlines()
    assert said == ["patient (longest 20) 0.25", "True washout"]


CONFIGS = [
    pytest.param(page, block, id=f"{page.name}-{index}")
    for page in sorted(DOCS.glob("*.md"))
    for index, block in enumerate(blocks(page.read_text(), "yaml"))
    if block.startswith(("name:", "sweep:"))
    and page.name not in ("extend.md", "your-own-data.md")
    and 'class: "model:' not in block
]


@pytest.mark.parametrize(("page", "config"), CONFIGS)
def test_a_config_that_is_shown_loads(page: Path, config: str, tmp_path: Path) -> None:
    """A sweep alone is of the task recall. Modules of one's own are those that the page shows."""
    for module, name in re.findall(r'class: "(\w+):(\w+)"', config):
        (code,) = (block for block in blocks(page.read_text(), "python") if f"class {name}(" in block)
        (tmp_path / f"{module}.py").write_text(code)
    whole = config if config.startswith("name:") else f"name: shown\nbase: {{task: recall}}\n{config}"
    path = tmp_path / f"{whole.split()[1]}.yaml"
    path.write_text(whole)
    loaded = Experiment.load(path)
    assert isinstance(loaded, Search) or loaded.trials()


@pytest.mark.slow
def test_the_reference_of_configs_is_what_make_docs_writes(tmp_path: Path) -> None:
    (command,) = re.findall(r"\$\(BIN\)/python (docs/config_reference\.py) docs/reference/config\.md", MAKEFILE)
    subprocess.run([sys.executable, command, str(tmp_path / "config.md")], cwd=ROOT, check=True)
    written = (tmp_path / "config.md").read_text()
    assert (DOCS / "reference" / "config.md").read_text() == written, f"python {command} docs/reference/config.md"


def test_the_reference_describes_every_field_of_a_trial() -> None:
    properties = schema()["properties"]["base"]["anyOf"][0]["properties"]
    assert [name for name, field in properties.items() if not field.get("description")] == []


def test_the_first_picture_of_the_readme_is_made_by_make_demo() -> None:
    picture, second = re.findall(r"!\[[^]]+\]\((.*?)\)", (ROOT / "README.md").read_text())
    recipe = MAKEFILE.split("\ndemo:")[1].split("\n\n")[0]
    (name,) = re.findall(r"farback run configs/(\w+)\.yaml", recipe)
    assert Path(picture).parent == Path("results") / name
    for shown in (picture, second):
        assert f"]({Path(shown).name})" in (ROOT / shown).with_name("report.md").read_text()


def test_the_reference_of_names_has_every_public_one() -> None:
    page = (DOCS / "reference" / "api.md").read_text()
    here = set(re.findall(r"\.\. auto(?:function|class|exception|module):: farback\.([\w.]+)", page))
    packages = {"cells", "inits", "tasks", "measures", "plots", "stats", "search", "tables"}
    assert set(farback.__all__) - packages <= here
    assert {f"measures.{name}" for name in measures.__all__} - {"measures.build", "measures.names"} <= here | {
        "measures.Measure"
    }
    assert {"plots", "stats", "search", "tables"} <= here
