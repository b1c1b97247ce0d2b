"""Kernels on disk: damaged files are made again, and settings of numba do not matter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = """
import numpy as np
from farback.kernels import jit

def double(x):
    return 2.0 * x

assert jit.kernel(double)(4.0) == 8.0
"""


def run(cache: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Compile a kernel in a new process that keeps it in the folder `cache`."""
    script = cache.parent / "script.py"
    script.write_text(TRAIN)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **variables}
    return subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True)


def files(cache: Path, ending: str) -> list[Path]:
    """The kernel's files in the cache."""
    return list(cache.rglob(f"*double*.{ending}"))


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
def test_a_damaged_cache_is_made_again_with_one_line(tmp_path, damage, ending):
    cache = tmp_path / "cache"
    assert run(cache).stderr == ""
    (path,) = files(cache, ending)
    damage(path)
    (line,) = run(cache).stderr.splitlines()
    assert "is damaged or cannot be read: kernels are compiled again" in line
    assert str(path.parent) in line
    assert run(cache).stderr == ""


def test_a_cache_that_is_no_file_is_done_without(tmp_path):
    cache = tmp_path / "cache"
    run(cache)
    (path,) = files(cache, "nbi")
    path.unlink()
    path.mkdir()
    assert "kernels are compiled again" in run(cache).stderr


def test_an_undamaged_cache_is_used(tmp_path):
    cache = tmp_path / "cache"
    run(cache)
    before = {path: path.stat().st_mtime_ns for path in files(cache, "nb?")}
    run(cache)
    assert before
    assert {path: path.stat().st_mtime_ns for path in files(cache, "nb?")} == before


def test_kernels_compile_although_numba_is_told_not_to(tmp_path):
    cache = tmp_path / "cache"
    run(cache, NUMBA_DISABLE_JIT="1")
    assert files(cache, "nbc")
