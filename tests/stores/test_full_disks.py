"""A sweep on a disk that fills up ends with a message; with space again the same command comes to the same scores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import farback
from farback.stores import locations
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow

CONFIG = """\
name: filling
question: Does it survive a full disk?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 4
  batch: 8
  steps: 40
  evaluate_every: 4
  stop: never
  measures: [{name: retention, lags: [1, 3], sequences: 50}]
sweep:
  - cell: [elman, gru]
    lag: [1, 2]
    seed: {range: 6}
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 40 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", path], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    said = [sys.executable, "-m", "farback.cli", "run", "configs/filling.yaml", "--workers", "1", *words]
    return subprocess.run(said, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


def fill(folder: Path, left: int) -> Path:
    """Leave so many bytes on the disk."""
    path = folder / "filler"
    state = os.statvfs(folder)
    with path.open("wb") as file:
        free = state.f_bavail * state.f_frsize
        os.posix_fallocate(file.fileno(), 0, free - left)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 600_000])
def test_a_full_disk_ends_the_command_with_a_message(disk: Path, left: int) -> None:
    """Full at once, so that nothing can be written; or in the middle of the sweep."""
    (disk / "configs").mkdir()
    (disk / "configs" / "filling.yaml").write_text(CONFIG)
    uri = locations.default_uri(disk)
    MLflow(uri).close()
    (disk / "configs" / "schema.json").write_text("{}")  # the command keeps it up to date
    filler = fill(disk, left)
    full = command(disk)
    assert full.returncode == 1, full.stderr
    assert "no space left" in full.stderr
    assert "Traceback" not in full.stderr
    filler.unlink()
    whole = command(disk)
    assert whole.returncode == 0, whole.stderr
    alone = Memory()
    farback.run(disk / "configs" / "filling.yaml", workers=1, store=alone)
    with MLflow(uri) as store:
        pd.testing.assert_frame_equal(store.frame("filling"), alone.frame("filling"), check_exact=True)
        runs = store.client.search(store.client.mlflow.get_experiment_by_name("filling").experiment_id, "")
        assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    leftovers = list((disk / "results").rglob(".*.unfinished"))
    assert leftovers == []


@pytest.mark.slow
def test_a_disk_that_cannot_be_written_to_is_refused(disk: Path) -> None:
    (disk / "configs").mkdir()
    (disk / "configs" / "filling.yaml").write_text(CONFIG)
    made = "import sys; from farback.stores.mlflow import MLflow; MLflow(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", made, locations.default_uri(disk)], check=True)  # its files are closed then
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    refused = command(disk)
    assert refused.returncode == 1, refused.stderr
    assert "cannot be written" in refused.stderr
    assert "Traceback" not in refused.stderr
