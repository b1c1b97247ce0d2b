"""A file is whole or as it was before."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from farback.system import processes
from farback.system.atomic_files import aside, scratch, sweep


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "page [1]*.md"
    path.write_text("before")
    with aside(path, durable=durable) as file:
        file.write_text("half")
        assert path.read_text() == "before"
        file.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("before")

    def write() -> None:
        with aside(path) as file:
            file.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_old_unfinished_files_of_other_machines_are_removed_and_recent_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = tmp_path / "page.md", []
    with monkeypatch.context() as patch:
        for number in range(2):
            patch.setattr(processes, "file_mark", lambda number=number: f"0123456789ab-{number + 1}")
            with aside(path) as file:
                file.write_text("whole")
            made.append(file)
    old, young = made
    for each in made:
        each.write_text("half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, young])


def test_files_of_the_user_with_names_like_unfinished_ones_are_kept(tmp_path: Path) -> None:
    dead = processes.file_mark().rpartition("-")[0] + f"-{2**22 + 1}"
    names = (".page.md.draft.unfinished", f".page.md.{dead}.unfinished", f".page.md.{dead}-{'0' * 12}.unfinished")
    for name in names:
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (time.time() - 7200, time.time() - 7200))
    with aside(tmp_path / "page.md") as file:
        file.write_text("whole")
    sweep(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"page.md", *names}


def test_an_unfinished_file_of_a_killed_local_process_is_removed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    script = (
        "import os, sys, pathlib\n"
        "from farback.system.atomic_files import aside\n"
        "with aside(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -signal.SIGKILL
        assert len(list(tmp_path.iterdir())) == 1
    with aside(path) as file:
        file.write_text("whole")
        assert len(list(tmp_path.iterdir())) == 1
        sweep(tmp_path)
        assert file.exists()  # we live
    assert list(tmp_path.iterdir()) == [path]


# Folders for a while ---------------------------------------------------------------------------------------------

KILLED = (
    "import os\nfrom farback.system.atomic_files import scratch\n"
    "with scratch() as folder:\n    (folder / 'a').touch()\n"
)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for what is temporary, as a process finds it that has just begun."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_folder_that_a_killed_process_left_is_removed_by_the_next(temporary: Path) -> None:
    script = KILLED + "    os.kill(os.getpid(), 9)\n"
    environment = {**os.environ, "TMPDIR": str(temporary)}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
        assert len(list(temporary.iterdir())) == 1
    with scratch() as folder:
        assert list(temporary.iterdir()) == [folder.parent]
        assert list(folder.iterdir()) == []
    assert list(temporary.iterdir()) == []


def ended(process: str) -> str:
    """An identity like the one of a process that still runs, but of one that has ended."""
    host, place = process.partition(":")[0], process.partition("@")[2]
    return f"{host}:{2**22 + 1}:1.00@{place}"


def test_folders_of_running_and_other_processes_and_links_are_kept(temporary: Path, tmp_path: Path) -> None:
    own, mine = processes.identity(), tmp_path / "mine"
    marks = {"running": own, "elsewhere": f"another-{ended(own)}", "text": "notes", "empty": ""}
    kept = [temporary / name for name in ("farback-backup-2026.11.25", "farback-notes", "tmpabc")]
    for each in kept:
        each.mkdir()
        os.utime(each, (time.time() - 7200, time.time() - 7200))
    for name, text in marks.items():
        kept.append(temporary / f"farback-{name}")
        kept[-1].mkdir()
        (kept[-1] / "made-by-farback").write_text(text)
    mine.mkdir()
    (mine / "made-by-farback").write_text(ended(own))
    link = temporary / "farback-link"
    link.symlink_to(mine)
    with scratch() as folder:
        assert set(temporary.iterdir()) == {*kept, link, folder.parent}
    assert (mine / "made-by-farback").exists()


def test_a_folder_of_another_user_is_kept(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = temporary / "farback-other"
    other.mkdir()
    (other / "made-by-farback").write_text(ended(processes.identity()))
    monkeypatch.setattr(os, "getuid", lambda: other.stat().st_uid + 1)
    with scratch():
        assert other.exists()
