"""Files stay below results/, wherever that is; what a link inside leads to is not replaced."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from farback.cli import main

CONFIG = """\
name: tiny
question: Where does it go?
base: {task: {name: recall, symbols: 2}, cell: elman, hidden: 2, batch: 2, steps: 2, evaluate_every: 1}
sweep: [{lag: [1, 2]}]
"""

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "configs").mkdir()
    (folder / "configs" / "tiny.yaml").write_text(CONFIG)
    return folder


@pytest.fixture
def farback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A command, as typed in a folder: its exit code, what it printed, and its errors."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def typed(folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["farback", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return code if isinstance(code, int) else 0, *capsys.readouterr()

    return typed


@pytest.fixture
def project(trained: Path, farback: Typed, tmp_path: Path) -> Path:
    """A copy of a project that was trained, in a folder beside which others may lie."""
    if not (trained / "results").exists():
        assert farback(trained, "run", "tiny", "--workers", "1")[0] == 0
    return Path(shutil.copytree(trained, tmp_path / "project"))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_linked_results_is_followed(trained: Path, project: Path, farback: Typed) -> None:
    disk = project.parent / "disk"
    (project / "results").rename(disk)
    (project / "results").symlink_to(disk, target_is_directory=True)
    shutil.rmtree(disk / "tiny")
    assert farback(project, "report", "tiny")[0] == 0
    assert everything(disk / "tiny") == everything(trained / "results" / "tiny")


def test_a_broken_link_to_results_is_reported_and_nothing_is_created(project: Path, farback: Typed) -> None:
    shutil.rmtree(project / "results")
    (project / "results").symlink_to(project.parent / "not-mounted")
    code, _, errors = farback(project, "run", "tiny", "--workers", "1")
    assert code == 1
    assert f"{project}/results is a link to {project.parent}/not-mounted, which does not exist: mount it" in errors
    assert "Traceback" not in errors
    assert sorted(path.name for path in project.parent.iterdir()) == ["project"]


@pytest.mark.parametrize(
    ("command", "inside"),
    [(["report", "tiny"], False), (["run", "tiny", "--workers", "1"], True)],
    ids=["report, link elsewhere", "run, link to another page"],
)
def test_a_page_is_not_written_through_a_link(command: list[str], inside: bool, project: Path, farback: Typed) -> None:
    other = project / "results" / "other" if inside else project.parent / "documents"
    other.mkdir()
    (other / "report.md").write_text("mine")
    shutil.rmtree(project / "results" / "tiny")
    (project / "results" / "tiny").symlink_to(other, target_is_directory=True)
    code, _, errors = farback(project, *command)
    assert code == 2
    assert (
        f"{project}/results/tiny is a symbolic link to {other}; farback does not write reports through links: "
        in errors
    )
    assert everything(other) == {"report.md": b"mine"}


def test_a_link_to_a_file_is_replaced_and_its_target_is_unchanged(project: Path, farback: Typed) -> None:
    mine = project.parent / "mine"
    mine.write_text("mine")
    for name in ("report.md", "success.csv", "success.png", "success.svg"):
        path = project / "results" / "tiny" / name
        path.unlink()
        path.symlink_to(mine)
    before = everything(project / "results" / "store" / "artifacts")
    assert farback(project, "report", "tiny")[0] == 0
    assert mine.read_text() == "mine"
    assert not [path for path in (project / "results" / "tiny").iterdir() if path.is_symlink()]
    after = everything(project / "results" / "store" / "artifacts")
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    "name", ["../../etc", "../../../etc/passwd", "/etc/passwd", "/etc", "/dev/null", "..", "", "\0"]
)
def test_a_path_in_place_of_a_name_writes_nothing(name: str, project: Path, farback: Typed) -> None:
    before = everything(project)
    for command in ("report", "run", "search"):
        code, printed, errors = farback(project, command, name)
        assert code == 2
        assert errors
        assert "Traceback" not in printed + errors
    assert everything(project) == before
    assert sorted(path.name for path in project.parent.iterdir()) == ["project"]
