"""Files stay below results/, wherever that is; what a link inside leads to is not replaced."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from farback.cli import main
from farback.experiment import ConfigError, Experiment
from farback.records.user_error import UserError
from farback.runs.frames import frame
from farback.runs.sweep import run
from farback.stores import open_store
from farback.system.project import RESERVED, config_path, found_config, project_folder

pytestmark = pytest.mark.usefixtures("empty_figures")
CONFIG = """\
name: tiny
question: Where does it go?
base: {task: {name: recall, symbols: 2}, cell: elman, hidden: 2, batch: 2, steps: 2, evaluate_every: 1}
sweep: [{lag: [1, 2]}]
"""

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "results" / "store").mkdir(parents=True)
    shutil.copy(empty_database, folder / "results" / "store" / "mlflow.db")
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
    if not (trained / "results" / "tiny").exists():
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


TINY = "base: {task: recall, cell: elman, lag: 2}\n"


def refusal(config: Path) -> str:
    """The message with which a config is refused."""
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(TINY)
    with pytest.raises(ConfigError) as refused:
        Experiment.load(config)
    return str(refused.value)


def test_a_config_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TINY)
    assert Experiment.load(tmp_path / "mine.yaml").name == "mine"


@pytest.mark.parametrize("name", [*RESERVED, "Default", "mine--seeds-5"])
def test_names_that_farback_uses_are_refused(tmp_path: Path, name: str) -> None:
    assert f"got '{name}'" in refusal(tmp_path / "configs" / f"{name}.yaml")


def test_names_that_farback_uses_are_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    assert all(f"`{name}`" in guide for name in RESERVED)


@pytest.mark.parametrize("other", ["configs/claims/mine.yaml", "results/tune/mine.yaml", "configs/Mine.yaml"])
def test_two_configs_of_one_name_are_refused(tmp_path: Path, other: str) -> None:
    (tmp_path / other).parent.mkdir(parents=True)
    (tmp_path / other).write_text(TINY)
    message = refusal(tmp_path / "configs" / "mine.yaml")
    assert f"{tmp_path / other} has the same name, and both would use results/mine" in message


def test_different_options_get_different_folders(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TINY)
    options = [
        ["lag=3"],
        ["lag=3", "seed=1"],
        ["task={name: recall, symbols: 2}"],
        ["task={name: recall,  symbols: 2}"],
        [f"task={{name: recall, symbols: 2{' ' * 90}}}", "lag=3"],
        [f"task={{name: recall, symbols: 2{' ' * 90}}}", "lag=4"],
        ["task.filler=noise-lag=3"],
        ["task.filler=noise", "lag=3"],
    ]
    loaded = [Experiment.load(tmp_path / "mine.yaml", own) for own in options[:6]]
    loaded += [replace(loaded[0], overrides=tuple(own)) for own in options[6:]]
    folders = [one.results_folder for one in loaded]
    assert len({str(folder).lower() for folder in folders}) == len(options)
    assert folders[:2] == [tmp_path / "results" / "mine--lag=3", tmp_path / "results" / "mine--lag=3-seed=1"]


def test_a_config_is_found_from_a_folder_below_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs" / "claims").mkdir(parents=True)
    (tmp_path / "configs" / "claims" / "mine.yaml").write_text(TINY)
    (tmp_path / "configs" / "other.yaml").write_text(TINY)
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks" / "deep")
    assert project_folder() == tmp_path
    assert config_path("mine") == Path("../../configs/claims/mine.yaml")
    assert Experiment.load(config_path("mine")).root.resolve() == tmp_path
    assert found_config("nowhere") is None
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)  # a folder above belongs to another user
    assert project_folder() == Path.cwd()
    assert found_config("mine") is None


@pytest.mark.parametrize("typed", ["mine", "mine.yaml", "configs/mine", "configs/mine.yaml"])
@pytest.mark.parametrize("folder", ["", "configs", "results", "results/mine", "notebooks/deep"])
def test_a_config_is_found_however_it_is_typed(
    folder: str, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("configs", "results/mine", "notebooks/deep"):  # results/mine must not be taken for the config
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "configs" / "mine.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path / folder)
    assert config_path(typed).resolve() == tmp_path / "configs" / "mine.yaml"
    assert Experiment.load(config_path(typed)).root.resolve() == tmp_path


def test_the_best_setting_of_a_search_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results" / "tune").mkdir(parents=True)
    (tmp_path / "results" / "tune" / "tune-winner-lstm.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path / "results")
    assert config_path("tune-winner-lstm").resolve() == tmp_path / "results" / "tune" / "tune-winner-lstm.yaml"


def test_a_config_that_is_not_found_names_near_ones_or_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("one/configs/first.yaml", "two/configs/other.yaml", "deep/er/configs/first.yaml"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(TINY)
    (tmp_path / "empty").mkdir()
    before = everything(tmp_path)
    for folder, typed, message in (
        ("one", "frist", r"there is no config frist.yaml in .*/one/configs; did you mean 'first'\?"),
        (
            "",
            "first",
            r"neither .* nor a folder above it has .*did you mean deep/er/configs/first.yaml or one/configs/",
        ),
        ("", "none.yaml", r"projects in folders below: deep/er, one, two$"),
        ("empty", "first", r"nor has a folder below it; `farback init` makes a project"),
        ("one", "x" * 300, r"there is no config xxx"),
    ):
        monkeypatch.chdir(tmp_path / folder)
        for call in (run, frame):
            with pytest.raises(UserError, match=message):
                call(typed)
    assert everything(tmp_path) == before


def test_the_frame_of_an_experiment_is_read_from_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    before = everything(tmp_path)
    assert frame("tiny").empty
    with pytest.raises(UserError, match=r"there is no config nowhere.yaml in .*/configs; choose from tiny"):
        frame("nowhere")
    assert everything(tmp_path) == before  # reading makes no database
    with pytest.raises(UserError, match="nothing is recorded yet in sqlite"), open_store(None, tmp_path, reading=True):
        pass
    assert run("../configs/tiny.yaml", workers=1).trained == 2
    assert frame("tiny")["key"].nunique() == frame("../configs/tiny.yaml")["key"].nunique() == 2
    assert not (tmp_path / "notebooks" / "results").exists()
