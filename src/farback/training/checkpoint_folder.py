"""Where the driver keeps the last checkpoint of each trial that is not done: a file each, whole or not there.

    results/store/checkpoints/EXPERIMENT/KEY.safetensors

A file is written aside, flushed to the disk and renamed, so that a kill or a power cut leaves the one before. What
cannot be gone on from is set aside with a message, and its trial starts from the beginning: a checkpoint saves time,
and decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from farback.system import atomic_files
from farback.system.provenance import VERSIONS, versions
from farback.training import checkpoint
from farback.trials.events import Checkpoint, Event, Failed, Finished, Pruned
from farback.trials.trial import Trial

log = logging.getLogger("farback")


class Folder:
    """The checkpoints of an experiment, written and read by its driver alone.

    Args:
        path: a folder; made when it is needed.
        seconds: between checkpoints.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._warned = False

    @classmethod
    def of(cls, root: Path, experiment: str, seconds: float) -> Folder:
        """That of an experiment in a project."""
        return cls(root / "results" / "store" / "checkpoints" / experiment, seconds)

    def load(self, trials: Iterable[Trial]) -> dict[str, Checkpoint]:
        """The checkpoints that there are of some trials and that can be gone on from, by key."""
        held, found = self.held(), {}
        for trial in trials:
            if trial.key in held:
                try:
                    found[trial.key] = _checked(trial, self._path(trial.key).read_bytes())
                except (ValueError, OSError) as error:
                    self._set_aside(self._path(trial.key), error)
        return found

    def held(self) -> set[str]:
        """The keys of the trials that have one."""
        return {path.stem for path in self.path.glob("*.safetensors")}

    def put(self, event: Event) -> None:
        """Keep a checkpoint; forget a trial's when it is done, given up, or failed by an error of its own."""
        if isinstance(event, Checkpoint):
            self._write(event)
        elif isinstance(event, Finished | Pruned) or (isinstance(event, Failed) and event.traceback):
            self.forget([event.key])

    def forget(self, keys: Iterable[str]) -> None:
        """Remove the checkpoints of trials that need none any more."""
        for key in keys:
            path = self._path(key)
            with suppress(OSError):  # there was none; or one stays, which is only in the way
                path.unlink()
            atomic_files.sweep(self.path, path.name)

    def _path(self, key: str) -> Path:
        return self.path / f"{key}.safetensors"

    def _write(self, event: Checkpoint) -> None:
        """Aside, flushed, renamed. Where that fails, training goes on: only more would be lost if it were stopped."""
        path = self._path(event.key)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_files.aside(path, durable=True) as unfinished:
                unfinished.write_bytes(event.state)
            self._warned = False
        except OSError as error:
            if not self._warned:  # once, not every minute
                log.warning("cannot write the checkpoint %s (%s): training goes on without", path, error)
            self._warned = True

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Out of the way of the next checkpoint, for whoever wants to know what happened to it."""
        names = (path.with_suffix(f".unusable{number or ''}") for number in range(1000))
        there = next((name for name in names if not name.exists()), path)
        try:
            path.rename(there)
            became = f"it is now {there.name}"
        except OSError as second:
            became = f"nor can it be renamed ({second})"
        log.warning("cannot go on from the checkpoint %s: %s; %s. Its trial starts anew", path, error, became)


def _checked(trial: Trial, state: bytes) -> Checkpoint:
    """The checkpoint of a trial.

    Raises:
        ValueError: it cannot be gone on from.
    """
    saved = checkpoint.read(trial.key, state)
    step, now = saved.said["step"], versions()
    for name in VERSIONS:
        made = saved.made.get(name, "unknown")
        if made != now[name]:
            raise ValueError(f"it was made with {name} {made}, and this is {now[name]}")
    return Checkpoint(trial.key, step, state)
