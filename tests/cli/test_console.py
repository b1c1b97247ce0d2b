"""What programs read: one JSON document on stdout, exit codes, and nothing that only a terminal shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from farback.cli import console, main
from farback.measures import known
from farback.records.entry_points import KINDS

pytestmark = pytest.mark.usefixtures("empty_figures")
SRC = Path(__file__).parents[2] / "src"
ENVIRONMENT = {name: text for name, text in os.environ.items() if name not in ("MLFLOW_TRACKING_URI", "FORCE_COLOR")}
PROGRAM = [sys.executable, "-m", "farback.cli"]
CONFIG = """\
name: tiny
question: Can a program read this?
base:
  task: {name: recall, symbols: 2, filler: blank}
  cell: elman
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
sweep:
  - lag: [1, 2]
    seed: {range: 2}
"""
SEARCH = """\
name: found
question: And this?
base:
  task: {name: recall, symbols: 2, filler: blank}
  cell: elman
  lag: 1
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
search:
  space:
    optimizer.lr: {log: [1.0e-3, 1.0e-1]}
  objective: skill
  trials: 2
  seeds: 1
  report: {seeds: 2}
"""
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "results" / "store").mkdir(parents=True)
    shutil.copy(empty_database, folder / "results" / "store" / "mlflow.db")
    (folder / "configs").mkdir()
    (folder / "configs" / "tiny.yaml").write_text(CONFIG)
    (folder / "configs" / "found.yaml").write_text(SEARCH)
    return folder


@pytest.fixture
def typed(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The entry point in this process: exit code, stdout and stderr."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["farback", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return code if isinstance(code, int) else 0, printed.out, printed.err

    return run


# One document ----------------------------------------------------------------------------------------------------


def test_the_document_of_a_run_has_its_counts_and_files(project: Path, typed: Typed) -> None:
    code, out, _ = typed("run", "tiny", "--dry-run", "--json", "--workers", "1")
    planned = json.loads(out)
    assert (code, planned["trials"], planned["reused"], planned["to_train"], planned["workers"]) == (0, 4, 0, 4, 1)
    assert 0 < planned["seconds"] <= planned["seconds_at_most"]
    code, out, err = typed("run", "tiny", "--json", "--workers", "1")
    done = json.loads(out)
    assert code == 0
    assert {name: done[name] for name in ("name", "trained", "reused", "diverged", "failed", "failures")} == {
        "name": "tiny",
        "trained": 4,
        "reused": 0,
        "diverged": 0,
        "failed": 0,
        "failures": [],
    }
    assert Path(done["report"]) == project / "results" / "tiny" / "report.html"
    assert all(Path(file).is_absolute() and Path(file).exists() for file in done["files"])
    assert "4 trials to train" in err  # what people read goes to stderr
    code, out, _ = typed("run", "tiny", "--dry-run", "--json", "--workers", "1")
    assert (json.loads(out)["to_train"], json.loads(out)["reused"]) == (0, 4)
    code, out, _ = typed("report", "tiny", "--json")
    again = json.loads(out)
    assert again == {key: done[key] for key in ("name", "headline", "verdict", "report", "files")}


@pytest.mark.slow
def test_the_document_of_a_search_has_its_counts_and_configs(project: Path, typed: Typed) -> None:
    code, out, err = typed("search", "found", "--json", "--workers", "1")
    assert code == 0, err
    done = json.loads(out)
    assert (done["trials"], done["done"], done["failed"]) == (2, 2, 0)
    assert all(Path(config).exists() for config in done["configs"])


def test_doctor_and_calibrate_write_documents(project: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "check_all", partial(known.check_all, cases=["ring"]))  # all take seconds
    monkeypatch.setattr(known, "check_statistics", lambda networks: [])
    code, out, _ = typed("doctor", "--json")
    assert (code, json.loads(out)["clean"]) == (0, True)
    code, out, err = typed("calibrate", "--json", "--networks", "10", "--output", str(project / "ruler"))
    found = json.loads(out)
    assert (code, found["off"]) == (0, 0)
    assert all(check["holds"] for check in found["checks"])
    assert Path(found["report"]).exists()
    assert "expected" in err


@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        (["cell", "lstm", "--hidden", "4", "--inputs", "3"], ("facts", "shapes", "weight_ih"), [16, 3]),
        (["cell", "lstm", "--hidden", "4", "--inputs", "3"], ("facts", "parameters"), 4 * 4 * (3 + 4 + 2)),
        (["task", "recall", "--lag", "7"], ("facts", "chance", "accuracy"), 0.25),
        (["task", "recall", "--lag", "7"], ("facts", "steps"), 8),
        (["init", "forget_bias"], ("facts", "fits"), None),
        (["encoder", "identity", "--inputs", "3"], ("facts", "width"), 3),
        (["measure", "retention"], ("facts",), {}),
    ],
)
def test_the_document_of_show_has_its_facts(
    arguments: list[str], path: tuple[str, ...], value: object, typed: Typed
) -> None:
    code, out, _ = typed("show", *arguments, "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["name"]) == (0, arguments[0], arguments[1])
    for key in path:
        found = found[key]
    assert found == value if value is not None else "lstm" in found


def test_without_a_kind_every_name_is_listed(typed: Typed) -> None:
    code, out, _ = typed("list")
    assert code == 0
    assert [line[:12].rstrip() for line in out.splitlines()] == list(KINDS)
    assert all(line[12:].split(", ") == sorted(line[12:].split(", ")) for line in out.splitlines())
    assert " lstm" in out
    code, out, _ = typed("list", "--json")
    assert {entry["name"] for entry in json.loads(out)["cells"]} >= {"elman", "lstm"}
    assert typed("list", "--markdown")[0] == 2


def test_a_mistake_leaves_stdout_empty(typed: Typed) -> None:
    code, out, err = typed("run", "tiny", "--set", "hiden=3", "--json")
    assert (code, out) == (2, "")
    assert "did you mean 'hidden'" in err


def test_json_has_no_numbers_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    console.Printer(as_json=True).document({"a": float("inf"), "b": [float("nan"), 1.5], "c": Path("x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": str(Path("x").absolute())}


# Exit codes ------------------------------------------------------------------------------------------------------


def test_a_trial_that_fails_ends_with_1_and_is_named(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    from farback.measures.retention import RetentionMeasure

    def broken(*arguments: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(RetentionMeasure, "rows", broken)
    code, out, err = typed("run", "tiny", "--set", "hidden=5", "--workers", "1", "--json")
    assert code == 1
    done = json.loads(out)
    assert (done["trained"], done["failed"]) == (0, 4)
    assert "no such luck" in done["failures"][0]["error"]
    assert "no such luck" in err


def test_usage_is_2(typed: Typed) -> None:
    for arguments in (["run"], ["run", "tiny", "--no-such-option"], ["nonsense"], ["run", "tiny", "--workers", "0"]):
        assert typed(*arguments)[0] == 2, arguments
    assert typed("run", "absent")[0] == 2


def test_help_lists_the_exit_codes(typed: Typed) -> None:
    code, out, _ = typed("--help")
    assert code == 0
    assert "Exit codes: 0 success; 1 a trial, a check or the store failed" in " ".join(out.split())


def test_ctrl_c_in_a_command_that_does_not_train_is_130() -> None:
    code = (
        "import os, signal, farback.cli.plugin_info as c, farback.cli;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # a shell's background jobs ignore it
        "c.components = lambda package: os.kill(os.getpid(), signal.SIGINT);"
        "import sys; sys.argv = ['farback', 'list', 'cells']; farback.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=with_source(), capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


# Pipes and terminals ---------------------------------------------------------------------------------------------


def with_source(**more: str) -> dict[str, str]:
    return {**ENVIRONMENT, "PYTHONPATH": str(SRC), **more}


@pytest.mark.parametrize(
    "arguments", [["--version"], pytest.param(["list", "cells", "--json"], marks=pytest.mark.slow)]
)
def test_a_reader_that_goes_away_ends_it_quietly(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` has done when it has seen enough
    try:
        done = subprocess.run(
            [*PROGRAM, *arguments], env=with_source(), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (console.CLOSED, "")


def test_a_console_whose_reader_goes_away_ends_it_quietly() -> None:
    code = "from farback.cli.console import Printer; Printer().print('x' * 10); print('not reached')"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], env=with_source(), stdout=writing, stderr=-1, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (console.CLOSED, b"")


def terminal(environment: dict[str, str], *arguments: str) -> str:
    """What a command writes to a terminal."""
    import pty

    reading, writing = pty.openpty()
    with subprocess.Popen([*PROGRAM, *arguments], env=environment, stdout=writing, stderr=writing) as process:
        os.close(writing)
        text = b""
        while process.poll() is None or text == b"":
            try:
                text += os.read(reading, 65536)
            except OSError:  # the other end is closed
                break
    os.close(reading)
    return text.decode(errors="replace")


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]")  # a foreground colour, among other attributes or alone


def test_no_color_is_heeded_on_a_terminal() -> None:
    """The help is drawn in colours by rich, unless NO_COLOR says otherwise."""
    environment = with_source(TERM="xterm-256color", COLUMNS="100")
    assert COLOUR.search(terminal({**environment, "NO_COLOR": ""}, "--help"))  # empty counts as not set
    assert not COLOUR.search(terminal({**environment, "NO_COLOR": "1"}, "--help"))


@pytest.mark.slow
def test_a_sweep_into_a_pipe_is_plain_lines(project: Path) -> None:
    """No bar, no colours, no cursor movements: in a process of its own, both streams in pipes."""
    done = subprocess.run(
        [*PROGRAM, "run", "tiny", "--set", "hidden=6", "--workers", "1"],
        cwd=project,
        env=with_source(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for stream in (done.stdout, done.stderr):
        assert b"\x1b" not in stream
        assert b"\r" not in stream


@pytest.mark.slow
def test_a_run_that_is_stopped_ends_with_the_exit_code_of_the_signal(project: Path) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        arguments = ["run", "tiny", "--set", "steps=200000", "--set", "stop=never", "--workers", "1", "--json"]
        with subprocess.Popen(
            [*PROGRAM, *arguments], cwd=project, env=with_source(), stdout=-1, stderr=-1, text=True
        ) as process:
            seen = wait_for(process.stderr, "to train")
            time.sleep(0.5)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, seen + err
        assert out == ""
        assert "to resume" in err


def wait_for(lines: Iterator[str] | None, text: str) -> str:
    assert lines is not None
    seen = ""
    for line in lines:
        seen += line
        if text in line:
            return seen
    raise AssertionError(seen)


def test_a_command_that_trains_says_so_before_it_imports_torch() -> None:
    code = """
import sys, farback.cli.run as command
command.step = lambda text: sys.exit(f"{text}, {'torch' in sys.modules}")
command.run("demo")
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stderr == "loading PyTorch and MLflow, False\n"
