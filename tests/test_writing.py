"""A file is whole or as it was before."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from farback.writing import aside, sweep


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "page [1]*.md"
    path.write_text("before")
    with aside(path, durable=durable) as file:
        file.write_text("half")
        assert path.read_text() == "before"
        file.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_on_the_way_leaves_the_earlier_file(tmp_path: Path) -> None:
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


def test_what_a_killed_process_left_is_removed_later_and_a_living_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    old, young, foreign = (tmp_path / name for name in (".page.md.1.unfinished", ".page.md.2.unfinished", ".other"))
    for each in (old, young, foreign):
        each.write_text("half")
    for each in (old, foreign):
        os.utime(each, (time.time() - 7200, time.time() - 7200))
    with aside(path) as file:
        file.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, young, foreign])


def test_what_a_process_left_that_was_killed_here_is_removed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    script = (
        "import os, sys, pathlib\n"
        "from farback.writing import aside\n"
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
