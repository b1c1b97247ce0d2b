"""What is typed after `make` names a config, and nothing else: no other folder, no option, no command."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = ("run", "search", "report", "ui", "dashboard")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The Makefile, and an environment that is there already, whose farback says what it was given."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt", ".venv/bin/farback", ".venv/.ok"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\n')
    (tmp_path / ".venv/bin/farback").chmod(0o755)
    return tmp_path


def made(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("NAME", "MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "-s", *arguments], cwd=project, env=inherited | environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_name_is_handed_on_as_a_word(target: str, project: Path) -> None:
    expected = f"<{target}>\n<Some_name-2>\n"
    assert made(project, target, "NAME=Some_name-2").stdout == expected
    assert made(project, target, NAME="Some_name-2").stdout == expected


@pytest.mark.parametrize(
    ("target", "says"),
    [("run", "<run>\n<demo>\n"), ("ui", "<ui>\n<demo>\n"), ("dashboard", "<dashboard>\n")],
)
def test_without_a_name_it_is_the_demo_and_the_dashboard_shows_all(target: str, says: str, project: Path) -> None:
    assert made(project, target).stdout == says


REFUSED = [
    "../demo",
    "/etc/passwd",
    "a/b",
    "..",
    "",
    "a b",
    "a.yaml",
    "--help",
    "é",
    "$(shell touch was-here)",
    "$$(touch was-here)",
    "${shell touch was-here}",
    "$(touch was-here)",
    "`touch was-here`",
    "';touch was-here;'",
    '";touch was-here;"',
    "x;touch was-here",
    "x\ntouch was-here",
    "x\\",
    "#",
    "%s%n",
]
COMMANDS = [name for name in REFUSED if "touch" in name]


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, []) for name in REFUSED), *((COMMANDS[0], [option]) for option in ("-i", "-k", "-n"))],
)
def test_anything_else_is_refused_and_runs_nothing(name: str, options: list[str], project: Path) -> None:
    for target in ("run", "dashboard"):
        for ended in (made(project, *options, target, f"NAME={name}"), made(project, *options, target, NAME=name)):
            if options in ([], ["-k"]):
                assert ended.returncode == 2
                assert ended.stdout == ""
                assert f"letters, digits, - and _; got '{name}'" in ended.stderr
            elif options == [
                "-i"
            ]:  # make was told to go on whatever happens: farback is handed one word, and refuses it
                words = ended.stdout.removeprefix(f"<{target}>\n")
                assert words == f"<{name}>\n"
    assert not list(project.rglob("was-here"))


def test_the_first_command_says_what_it_installs_before_it_installs(project: Path) -> None:
    (project / ".venv/.ok").unlink()
    first = subprocess.run(
        ["make", "-n", "smoke"], cwd=project, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    said, installed = first.index('echo "installing farback, PyTorch'), first.index("-m venv .venv ")
    assert said < installed < first.index("pip install")
    assert "pip install -qq 'uv" in first  # pip's warnings, such as those about locations, are not ours
