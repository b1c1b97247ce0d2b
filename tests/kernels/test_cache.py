"""Kernels on disk: damaged files are made again, and settings of numba do not matter."""

from __future__ import annotations

import logging
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import pytest

from farback.kernels import cache as kernel_cache

TRAIN = """
from farback.kernels import jit

def double(x):
    return 2.0 * x

assert jit.kernel(double)(4.0) == 8.0
"""
Compile = Callable[[], list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which kernels are kept."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def compiled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Compile:
    """Make a kernel as a new process does, from the folder if it is there; returns the warnings."""
    script = tmp_path / "script.py"
    script.write_text(TRAIN)

    def run() -> list[str]:
        monkeypatch.setattr(kernel_cache, "_warned", set())
        caplog.clear()
        with caplog.at_level(logging.WARNING, "farback"):
            runpy.run_path(str(script))
        return [record.getMessage() for record in caplog.records]

    return run


def files(folder: Path, ending: str) -> list[Path]:
    """The kernel's files in the folder."""
    return list(folder.rglob(f"*double*.{ending}"))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def one_bit_changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [emptied, cut, one_bit_changed])
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_cache_is_made_again_with_one_line(
    folder: Path, compiled: Compile, damage: Callable[[Path], None], ending: str
) -> None:
    assert compiled() == []
    (path,) = files(folder, ending)
    damage(path)
    (line,) = compiled()
    assert "is damaged or cannot be read: kernels are compiled again" in line
    assert str(path.parent) in line
    assert compiled() == []


def test_a_cache_that_is_no_file_is_done_without(folder: Path, compiled: Compile) -> None:
    compiled()
    (path,) = files(folder, "nbi")
    path.unlink()
    path.mkdir()
    assert "kernels are compiled again" in compiled()[0]


def test_an_undamaged_cache_is_used(folder: Path, compiled: Compile) -> None:
    compiled()
    before = {path: path.stat().st_mtime_ns for path in files(folder, "nb?")}
    compiled()
    assert before
    assert {path: path.stat().st_mtime_ns for path in files(folder, "nb?")} == before


def test_kernels_compile_although_numba_is_told_not_to(tmp_path: Path) -> None:
    """Numba reads its settings when a process starts. The next process reports the damaged file on stderr."""
    script, folder = tmp_path / "script.py", tmp_path / "cache"
    script.write_text(TRAIN)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "NUMBA_DISABLE_JIT": "1"}
    lines = []
    for _ in range(2):
        done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
        lines.append(done.stderr)
        for path in files(folder, "nbc"):
            cut(path)
    assert files(folder, "nbc")
    assert lines[0] == ""
    assert lines[1].count("\n") == 1
    assert "is damaged or cannot be read: kernels are compiled again" in lines[1]
