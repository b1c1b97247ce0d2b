"""In people's hands: what is built, what is in it, and whether it works where the repository is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farback.cli import app
from farback.cli.init import EXAMPLE, SCHEMA, STARTER
from farback.experiment import Experiment, schema

ROOT = Path(__file__).parent.parent
OURS = ("MLFLOW_TRACKING_URI", "PYTHONPATH", "VIRTUAL_ENV", "NAME", "MAKEFLAGS", "MAKELEVEL")  # `make test` sets some
ENVIRONMENT = {name: text for name, text in os.environ.items() if name not in OURS}


def ran(command: list[str | Path], folder: Path, code: int = 0) -> str:
    """What a command prints, run in a folder."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


# farback init ----------------------------------------------------------------------------------------------------


def test_init_writes_a_project_whose_config_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["init", "mine"])
    assert result.exit_code == 0, result.output
    written = {str(path.relative_to("mine")) for path in Path("mine").rglob("*") if path.is_file()}
    assert written == {*STARTER, EXAMPLE, SCHEMA}
    assert all(f"wrote mine/{name}" in result.output for name in written)
    experiment = Experiment.load("mine/configs/first.yaml")
    assert len(experiment.trials()) == 3 * 4 * 3  # as the comment in it says
    assert experiment.root == tmp_path / "mine"
    assert json.loads(Path("mine", SCHEMA).read_text()) == json.loads(json.dumps(schema()))


def test_init_overwrites_nothing_and_names_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Makefile").write_text("mine")
    Path(".gitignore").symlink_to("nowhere")
    result = CliRunner().invoke(app, ["init"])
    assert (result.exit_code, type(result.exception).__name__) == (1, "UserError")  # `main` makes 2 of it
    assert "these files are there already: Makefile, .gitignore" in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "Makefile"]
    assert Path("Makefile").read_text() == "mine"


def test_every_target_of_the_starter_s_makefile_is_listed_and_calls_farback(tmp_path: Path) -> None:
    CliRunner().invoke(app, ["init", str(tmp_path)])
    listed = ran(["make"], tmp_path)
    for target in ("plan", "run", "report", "ui", "doctor"):
        assert f"  make {target}" in listed
        assert f"echo {'run' if target == 'plan' else target} first" in ran(
            ["make", "-n", target, "FARBACK=echo"], tmp_path
        )


# Wheel and sdist -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, by the build backend that this environment has: nothing is fetched."""
    folder = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source")
    ran([sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", folder, ROOT], source)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    (unpacked,) = source.iterdir()
    ran([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, unpacked], source)
    (wheel,) = folder.glob("*.whl")
    return wheel, sdist


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as archive:
        names = set(archive.namelist())
    own = {name for name in names if not name.startswith("farback/")}
    assert {name.split("/")[0] for name in own} == {f"farback-{version()}.dist-info"}
    here = {f"farback/{path.relative_to(ROOT / 'src/farback').as_posix()}" for path in sources()}
    assert names - own == here
    assert {"farback/py.typed", "farback/starter/Makefile", "farback/report/templates/page.md.j2"} <= names
    assert f"farback-{version()}.dist-info/licenses/LICENSE" in names


def sources() -> list[Path]:
    """Every file of the package that version control knows, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/farback"]
    return [ROOT / name for name in ran([*command], ROOT).splitlines() if (ROOT / name).exists()]


def version() -> str:
    import tomllib

    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


@pytest.mark.slow
def test_the_sdist_holds_what_it_takes_to_build_and_to_test(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    top = {name.split("/")[0] for name in names}
    wanted = {
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    }
    wanted |= {"src", "tests", "configs", "experiments", "docs", "benchmarks", "results"}
    assert wanted <= top
    assert "tests/conftest.py" in names
    assert not any(name.startswith(("results/store", ".venv", ".git/")) for name in names)


@pytest.mark.slow
def test_an_installed_wheel_works_from_an_empty_folder(built: tuple[Path, Path], tmp_path: Path) -> None:
    """Into a fresh environment, which sees the libraries of this one and not the repository."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = Path(ran([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path).strip())
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    ran([*install, built[0]], tmp_path)
    libraries = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    project = tmp_path / "empty"
    project.mkdir()
    where = ran([python, "-c", "import farback; print(farback.__file__)"], project)
    assert where.strip() == str(site / "farback" / "__init__.py")
    farback = python.with_name("farback")
    assert ran([farback, "--version"], project) == f"farback {version()}\n"
    ran([farback, "init"], project)
    small = ["--set", "steps=50", "--only", "seed=0", "--workers", "1"]
    ran([farback, "run", "first", *small], project)
    folder = project / "results" / "first--steps=50"
    assert {"report.md", "success.png", "trainability.csv"} <= {path.name for path in folder.iterdir()}
    assert (project / "results" / "store" / "mlflow.db").exists()
    ran([farback, "run", "first", *small, "--dry-run"], project)
    ran([farback, "report", "first", "--set", "steps=50"], project)
    ran([farback, "doctor"], project)
    ran([farback, "list", "cells"], project)
    ran([farback, "show", "task", "recall"], project)
    ran([farback, "calibrate"], project)
    assert (project / "results" / "calibrate" / "report.md").exists()
    assert sorted(path.name for path in project.iterdir()) == [
        *(".gitignore", "Makefile", "configs", "experiments", "results")
    ]
