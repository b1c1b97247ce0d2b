"""A file is whole or as it was before."""

import os
import time
from pathlib import Path

import pytest

from farback.writing import aside


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
