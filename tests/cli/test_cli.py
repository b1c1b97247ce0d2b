"""What a person types, and what comes back."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from farback.cli import main
from farback.cli.report import command_for
from farback.experiment import Experiment, schema
from farback.runs.progress import minutes
from farback.system.project import config_path

CONFIG = """\
name: tiny
question: Does the command line work?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
sweep:
  - cell: [{name: elman}, {name: memoryless}]
    lag: [1, 2]
    seed: {range: 2}
"""
SEEDS = """\
    lag: [1, 2]
    seed: {range: 2}
"""
LAGS = """\
    lag: {adaptive: [1, 16]}
"""


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def farback(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """The entry point, as if typed in the project's folder; in this process, which has paid for the imports."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def typed(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["farback", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else 0, printed.out, printed.err)

    return typed


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "results" / "store").mkdir(parents=True)
    shutil.copy(empty_database, folder / "results" / "store" / "mlflow.db")
    (folder / "configs").mkdir()
    (folder / "configs" / "tiny.yaml").write_text(CONFIG)
    return folder


def test_the_whole_path_from_the_command_line(project: Path, farback: Callable[..., Result]) -> None:
    schema_file = project / "configs" / "schema.json"
    schema_file.write_text("{}")
    planned = farback("run", "tiny", "--dry-run", "--workers", "1")
    counts = ["tiny: 8 trials in 4 cohorts", "tiny: 0 trials recorded already, 8 to train on 1 worker, in 4 cohorts"]
    assert planned.stdout.splitlines()[:2] == counts, planned.stderr
    order = planned.stderr.index("loading"), planned.stderr.index("opening"), planned.stderr.index("estimating")
    assert order == tuple(sorted(order))
    assert re.search(r"estimated time.*: \d+", planned.stdout)
    assert schema_file.read_text() == "{}"  # a dry run writes nothing
    part = farback("run", "configs/tiny.yaml", "--only", "cell.name=elman", "--workers", "1")
    assert part.returncode == 0, part.stderr
    assert "4 trials to train, 0 recorded already" in part.stdout
    assert "browse   farback ui tiny\n" in part.stdout
    assert json.loads(schema_file.read_text()) == json.loads(json.dumps(schema()))  # editors complete new components
    (project / "Makefile").write_text("ui:\n\ttrue\n")
    whole = farback("run", "tiny", "--workers", "1")
    assert "4 trials to train, 4 recorded already" in whole.stdout, whole.stderr
    assert whole.stderr.startswith("loading PyTorch and MLflow ...\nopening the store ...\n")
    assert "writing the report ...\n" in whole.stderr
    assert (project / "results" / "tiny" / "report.md").exists()
    assert "results/tiny/success.png" in whole.stdout
    assert "report   results/tiny/report.html" in whole.stdout
    assert "tiny/report.html" in (project / "results" / "index.html").read_text()
    assert re.search(r"browse   make ui NAME=tiny +\(or: farback ui tiny\)\n", whole.stdout)  # as in the Makefile
    assert "rebuild  farback report tiny\n" in whole.stdout
    assert "\x1b[" not in whole.stdout  # no colours and no moving bar where the output is not a terminal
    code = "import sys, farback.cli\ntry: farback.cli.main()\nfinally: print([*sys.modules], file=sys.stderr)"
    command = [sys.executable, "-c", code, "run", "tiny", "--workers", "1"]
    again = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert "0 trials to train, 8 recorded already" in again.stdout
    assert again.stdout.partition("already\n")[2] == whole.stdout.partition("already\n")[2]  # its tables
    loaded = set(again.stderr.splitlines()[-1].strip("[]'").split("', '"))
    assert "torch" in loaded
    assert not loaded & {
        "matplotlib",
        "seaborn",
        "mlflow",
        "scipy.stats",
        "scipy.sparse",
        "numba",
    }  # the page is as it was
    schema_file.unlink()
    assert farback("schema").returncode == 0
    assert json.loads(schema_file.read_text()) == json.loads(json.dumps(schema()))


def test_the_next_command_can_be_pasted_where_a_path_has_spaces(tmp_path: Path) -> None:
    config = tmp_path / "my work; it's" / "tiny.yaml"
    config.parent.mkdir()
    config.write_text(CONFIG)
    rebuild = command_for("report", Experiment.load(config, ["task={name: recall, symbols: 3}"]))
    setting = "task={name: recall, symbols: 3}"
    assert shlex.split(rebuild) == ["farback", "report", str(config), "--set", setting]
    assert shlex.split(command_for("ui", Experiment.load(config)))[:2] == ["cd", str(config.parent)]


def test_the_next_command_has_the_options_of_this_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    changed = Experiment.load(Path("configs/tiny.yaml"), ["steps=2"])
    assert command_for("report", changed) == "farback report configs/tiny.yaml --set steps=2"
    assert command_for("dashboard", changed) == "farback dashboard tiny"
    monkeypatch.chdir(project / "configs")
    elsewhere = Experiment.load(project / "configs" / "tiny.yaml")
    assert command_for("ui", elsewhere) == f"cd {project} && farback ui tiny"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "tiny", "--set", "task.symbls=3"], "did you mean 'symbols'"),
        (["run", "tiny", "--only", "cell.name=gruu"], "gruu"),
        (["run", "nothing"], "nothing.yaml"),
        (["report", "untrained"], "farback run"),
        (["run", "tiny", "--store", "./folder"], "sqlite"),
        (["list", "taks"], "did you mean 'tasks'"),
        (["show", "cel", "lstm"], "did you mean 'cells'"),
        (["show", "cell", "lsmt"], "did you mean 'lstm'"),
        (["show", "task", "recall", "--set", "symbls=3"], "did you mean 'symbols'"),
        (["show", "task", "recall", "--set", "symbols=one"], "symbols: must be a valid integer, got 'one'"),
        (["show", "task", "temporal_order", "--lag", "2"], "needs a lag of 7 or more"),
        (["show", "cell", "shift_register", "--inputs", "5"], "to be a multiple of 5: 30 or 35"),
        (["list", "cells", "--into", "configs/tiny.yaml"], "<!-- cells: begin -->"),
        (["ui", "tiny", "--store", "sqlite:///none.db"], "none.db"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    project: Path, farback: Callable[..., Result], arguments: list[str], message: str
) -> None:
    (project / "configs" / "untrained.yaml").write_text(CONFIG.replace("name: tiny", "name: untrained"))
    result = farback(*arguments)
    assert result.returncode == 2, result.stdout + result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_help_and_import_are_light() -> None:
    code = (
        "import sys, farback, farback.cli\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(farback.cli.app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'pydantic', 'mlflow', 'optuna', 'pandas', 'numpy', 'numba', 'matplotlib'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_bare_name_is_a_config() -> None:
    assert config_path("demo") == Path("configs/demo.yaml")
    assert config_path("configs/demo.yaml") == Path("configs/demo.yaml")


@pytest.mark.parametrize(("seconds", "text"), [(3, "3 s"), (89, "89 s"), (120, "2 min"), (4000, "1 h 7 min")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert minutes(seconds) == text


def test_a_dry_run_makes_no_store(
    tmp_path: Path, farback: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(CONFIG)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path / "configs")
    planned = farback("run", "tiny.yaml", "--dry-run", "--workers", "1")
    assert "0 trials recorded already, 8 to train on 1 worker" in planned.stdout, planned.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["configs", "tiny.yaml"]


def test_a_command_in_a_folder_above_names_the_projects_below(
    tmp_path: Path, farback: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine" / "configs").mkdir(parents=True)
    (tmp_path / "mine" / "configs" / "tiny.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    for command in ("run", "report", "search"):
        refused = farback(command, "tiny")
        assert refused.returncode == 2
        assert "did you mean mine/configs/tiny.yaml?" in refused.stderr


def test_a_dry_run_of_adaptive_lags_says_about_how_many_trainings(
    project: Path, farback: Callable[..., Result]
) -> None:
    (project / "configs" / "picked.yaml").write_text(CONFIG.replace("name: tiny", "name: picked").replace(SEEDS, LAGS))
    planned = farback("run", "picked", "--dry-run", "--workers", "1")
    assert "0 trials recorded already, about 60 to train" in planned.stdout, planned.stderr


@pytest.mark.slow
def test_adaptive_lags_are_trained_from_the_command_line(project: Path, farback: Callable[..., Result]) -> None:
    (project / "configs" / "chosen.yaml").write_text(CONFIG.replace("name: tiny", "name: chosen").replace(SEEDS, LAGS))
    trained = farback("run", "chosen", "--workers", "1")
    assert "about 60 trials to train" in trained.stdout, trained.stderr
    assert (
        "The lags of 2 networks were chosen one after another"
        in (project / "results" / "chosen" / "report.md").read_text()
    )


def test_help_names_what_an_option_takes_and_no_python_type(farback: Callable[..., Result]) -> None:
    for command in (
        "init",
        "run",
        "report",
        "ui",
        "search",
        "dashboard",
        "calibrate",
        "backtest",
        "claims",
        "list",
        "show",
        "doctor",
    ):
        shown = farback(command, "--help").stdout
        options = shown[shown.index("Options") :]
        assert not re.findall(r"<[^>]*>", options), command
    assert re.search(r"--workers +NUMBER", farback("run", "--help").stdout)
