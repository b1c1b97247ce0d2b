"""The folder with the last checkpoint of each unfinished trial of an experiment, one file each.

    results/store/checkpoints/EXPERIMENT/KEY.safetensors

A file is written under another name, flushed to disk and renamed, so that a kill or a power cut leaves the old file.
A checkpoint that cannot be resumed is renamed with a warning, and its trial starts from the beginning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from farback.system import atomic_files
from farback.system.provenance import VERSIONS, versions
from farback.training import checkpoint, rates
from farback.trials.events import Checkpoint, Event, Failed, Finished, Pruned
from farback.trials.trial import Trial

log = logging.getLogger("farback")


class CheckpointFolder:
    """The last checkpoints of an experiment's trials, written every `seconds` by the process that runs them."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._warned = False

    @classmethod
    def of(cls, root: Path, experiment: str, seconds: float) -> CheckpointFolder:
        """The folder of an experiment in the project at `root`."""
        return cls(root / "results" / "store" / "checkpoints" / experiment, seconds)

    @property
    def rates(self) -> Path:
        """The folder of `farback.training.rates`, one for all experiments of a project."""
        return self.path.parents[1] / rates.NAME

    def load(self, trials: Iterable[Trial]) -> dict[str, Checkpoint]:
        """The checkpoints of these trials that can be resumed, by key."""
        keys, loaded = self.keys(), {}
        for trial in trials:
            if trial.key in keys:
                try:
                    loaded[trial.key] = _checked(trial, self._path(trial.key).read_bytes())
                except (ValueError, OSError) as error:
                    self._set_aside(self._path(trial.key), error)
        return loaded

    def keys(self) -> set[str]:
        """The keys of the trials that have a checkpoint."""
        return {path.stem for path in self.path.glob("*.safetensors")}

    def put(self, event: Event) -> None:
        """Write a checkpoint; delete it when its trial finished, was pruned, or failed with an error in training."""
        if isinstance(event, Checkpoint):
            self._write(event)
        elif isinstance(event, Finished | Pruned) or (isinstance(event, Failed) and event.traceback):
            self.forget([event.key])

    def forget(self, keys: Iterable[str]) -> None:
        """Delete the checkpoints of trials, if they exist."""
        for key in keys:
            path = self._path(key)
            with suppress(OSError):  # a checkpoint that remains does no harm
                path.unlink()
            atomic_files.sweep(self.path, path.name)

    def _path(self, key: str) -> Path:
        return self.path / f"{key}.safetensors"

    def _write(self, event: Checkpoint) -> None:
        """Replace the checkpoint of a trial. On an error training continues, because stopping would lose more."""
        path = self._path(event.key)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_files.aside(path, durable=True) as unfinished:
                unfinished.write_bytes(event.state)
            self._warned = False
        except OSError as error:
            if not self._warned:  # warn once, not with every checkpoint
                log.warning("cannot write the checkpoint %s (%s): training continues without checkpoints", path, error)
            self._warned = True

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Rename a checkpoint that cannot be resumed, so that a person can look at it."""
        names = (path.with_suffix(f".unusable{number or ''}") for number in range(1000))
        target = next((name for name in names if not name.exists()), path)
        try:
            path.rename(target)
            outcome = f"it was renamed to {target.name}"
        except OSError as second:
            outcome = f"it cannot be renamed either ({second})"
        log.warning("cannot resume from the checkpoint %s: %s; %s. Its trial starts again", path, error, outcome)


def _checked(trial: Trial, state: bytes) -> Checkpoint:
    """The checkpoint of a trial. Raises ValueError: it cannot be read, or other versions of software wrote it."""
    _, fields = checkpoint.read(trial.key, state)
    for name in VERSIONS:
        made, now = fields["made"].get(name, "unknown"), versions()[name]
        if made != now:
            raise ValueError(f"the checkpoint was made with {name} {made}, but {now} is installed")
    return Checkpoint(trial.key, fields["step"], state)
