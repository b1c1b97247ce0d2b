"""The folder of checkpoints: files are complete or absent, unusable ones are renamed, finished trials leave none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from farback.system import safetensors
from farback.system.provenance import DECIDING, VERSIONS, versions
from farback.training.checkpoint_folder import CheckpointFolder
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Failed, Finished, Paused, Progress, Pruned, Request
from farback.trials.trial import Trial

Make = Callable[..., Trial]


@cache
def checkpoint(trial: Trial) -> Checkpoint:
    """The checkpoint after the first update."""
    events = train(Cohort.of(trial), 1e9)
    while next(events) is not None:
        pass
    event = events.send(Request(finish=True))
    assert isinstance(event, Checkpoint)
    return event


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder.of(tmp_path, "small", 60.0)


@pytest.fixture
def trial(trial_of: Make) -> Trial:
    return trial_of()


def names(folder: CheckpointFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir()) if folder.path.exists() else []


def test_the_last_checkpoint_is_loaded(folder: CheckpointFolder, trial: Trial, tmp_path: Path) -> None:
    assert folder.load([trial]) == {}
    assert names(folder) == []
    first = checkpoint(trial)
    folder.put(first)
    assert folder.load([trial]) == {trial.key: first}
    assert (tmp_path / "results" / "store" / "checkpoints" / "small" / f"{trial.key}.safetensors").exists()
    folder.put(first)
    assert names(folder) == [f"{trial.key}.safetensors"]


def test_only_the_requested_trials_are_loaded(folder: CheckpointFolder, trial: Trial, trial_of: Make) -> None:
    other = trial_of(seed=1)
    for one in (trial, other):
        folder.put(checkpoint(one))
    assert list(folder.load([other])) == [other.key]
    assert folder.keys() == {trial.key, other.key}


def test_checkpoints_are_deleted_when_a_trial_ends_unless_its_worker_died(
    folder: CheckpointFolder, trial: Trial
) -> None:
    for event, kept in [
        (next(event for event in train(Cohort.of(trial)) if isinstance(event, Finished)), False),
        (Pruned(trial.key, 1), False),
        (Failed(trial.key, "ValueError: a bug", "Traceback ..."), False),  # fixed code must not resume from its numbers
        (Failed(trial.key, "the worker process 1 died (killed by SIGKILL)"), True),
        (Paused(trial.key, 1), True),
        (Progress(trial.key, 1, {}), True),
    ]:
        folder.put(checkpoint(trial))
        folder.put(event)
        assert bool(names(folder)) is kept, event


def test_checkpoints_are_deleted_on_request(folder: CheckpointFolder, trial: Trial) -> None:
    folder.put(checkpoint(trial))
    folder.forget([trial.key, "0123456789abcdef"])
    assert names(folder) == []


# Unusable checkpoints -------------------------------------------------------------------------------------


def changed(state: bytes, **fields: object) -> bytes:
    arrays, text = safetensors.unpacked(state)
    return safetensors.packed(arrays, json.dumps({**json.loads(text), **fields}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: b"", "truncated"),
        (lambda state: state[:100], "truncated"),
        (lambda state: state[:-1], "truncated"),
        (lambda state: state[:-1] + bytes([state[-1] ^ 1]), "digest"),
        (lambda state: b"\0" * len(state), "not in the format"),
        (lambda state: b"cos\nsystem\n(S'echo owned'\ntR.", "truncated"),  # a pickle: nothing here would run it
        (lambda state: changed(state, format=99), "format 99"),
        (lambda state: changed(state, key="0123456789abcdef"), "belongs to trial 0123456789abcdef"),
        (lambda state: changed(state, made={"torch": "1.0", "farback": "0"}), "made with farback 0"),
    ],
)
def test_an_unusable_checkpoint_is_renamed_with_a_warning(
    damage: Callable[[bytes], bytes],
    message: str,
    folder: CheckpointFolder,
    trial: Trial,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder.put(checkpoint(trial))
    path = folder.path / f"{trial.key}.safetensors"
    broken = damage(path.read_bytes())
    path.write_bytes(broken)
    assert folder.load([trial]) == {}
    assert message in caplog.text
    assert str(path) in caplog.text
    aside = folder.path / f"{trial.key}.unusable"
    assert names(folder) == [aside.name]
    assert aside.read_bytes() == broken
    folder.put(checkpoint(trial))
    path.write_bytes(b"again")
    assert folder.load([trial]) == {}
    assert names(folder) == [aside.name, f"{trial.key}.unusable1"]  # nothing is overwritten
    assert aside.read_bytes() == broken


@pytest.mark.parametrize("package", VERSIONS)
def test_a_checkpoint_of_other_versions_is_not_resumed(
    package: str, folder: CheckpointFolder, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    assert package in DECIDING
    one = checkpoint(trial)
    made = json.loads(safetensors.unpacked(one.state)[1])["made"]
    folder.put(Checkpoint(trial.key, one.step, changed(one.state, made={**made, package: "0.0.1"})))
    assert folder.load([trial]) == {}
    assert f"made with {package} 0.0.1, but {versions()[package]} is installed" in caplog.text


def test_a_directory_with_the_name_of_a_checkpoint_is_ignored(folder: CheckpointFolder, trial: Trial) -> None:
    (folder.path / f"{trial.key}.safetensors").mkdir(parents=True)
    assert folder.load([trial]) == {}


# Disks -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_that_cannot_be_written_gives_one_warning(
    folder: CheckpointFolder, trial: Trial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = checkpoint(trial)
    folder.put(good)

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for _ in range(3):
        folder.put(checkpoint(trial))
    assert [record.getMessage().count("No space left on device") for record in caplog.records] == [1]
    monkeypatch.undo()
    assert names(folder) == [f"{trial.key}.safetensors"]  # the one before
    assert folder.load([trial]) == {trial.key: good}


WRITER = """
import os, sys
from pathlib import Path
from farback.training.checkpoint_folder import CheckpointFolder
from farback.trials.events import Checkpoint
folder, states = CheckpointFolder(Path(sys.argv[1]), 0.0), [Path(name).read_bytes() for name in sys.argv[3:]]
for line in sys.stdin:  # each line starts a writer, a process that only a signal ends
    writer = os.fork()
    while not writer:
        for state in states:
            folder.put(Checkpoint(sys.argv[2], 1, state))
    print(writer, flush=True)
    os.waitpid(writer, 0)
    print("ended", flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_leaves_a_complete_checkpoint(
    folder: CheckpointFolder, trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = checkpoint(trial).state
    states = {changed(state, successes=number): tmp_path / f"state{number}" for number in (1, 2)}
    for content, path in states.items():
        path.write_bytes(content)
    command = [sys.executable, "-c", WRITER, str(folder.path), trial.key, *map(str, states.values())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for wait in (0.0, 0.007, 0.013, 0.019, 0.031):
            process.stdin.write("write\n")
            writer = int(process.stdout.readline())
            time.sleep(0.05 + wait)
            os.kill(writer, signal.SIGKILL)
            assert process.stdout.readline() == "ended\n"
            assert folder.load([trial])[trial.key].state in states
        process.stdin.close()
    assert caplog.text == ""
