"""Splits the cohorts of an experiment among drivers: processes of farback that share a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from farback.stores.base import Recorder, Store
from farback.training.checkpoint_folder import CheckpointFolder
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Ended, Event, Paused, Reused


class LeasedWork:
    """Leases cohorts before they are trained, and keeps a list of those that other drivers are training.

    Trials that another driver left unfinished resume from the checkpoints in `folder`.
    """

    def __init__(
        self, store: Store, experiment: str, recorder: Recorder, folder: CheckpointFolder | None = None
    ) -> None:
        self.store, self.experiment, self.recorder, self.folder = store, experiment, recorder, folder
        self.elsewhere: list[Cohort] = []  # leased by other drivers
        self._refused: set[str] = set()  # keys that another driver had leased at some time

    def leased(self, items: Iterable[Cohort | None]) -> Iterator[Cohort | None]:
        """The cohorts, or parts of them, whose leases this driver got; None is passed on."""
        for cohort in items:
            if cohort is None:
                yield None
                continue
            granted = self.recorder.lease(cohort.keys)
            refused = set(cohort.keys) - granted
            self.elsewhere += cohort.only(refused)
            for own in cohort.only(granted):
                yield from self._resumed(own)
            self._refused |= refused

    def _resumed(self, cohort: Cohort) -> list[Cohort]:
        """The cohort with its newest checkpoints, if another driver was training it."""
        if self.folder is None or not self._refused & set(cohort.keys):
            return [cohort]
        return cohorts(cohort.trials, len(cohort.trials), self.folder.load(cohort.trials))

    def put(self, event: Event) -> None:
        """Record an event; release the lease of a trial that ended."""
        if isinstance(event, Checkpoint | Paused | Reused):
            return
        self.recorder.put(event)
        if isinstance(event, Ended):
            self.recorder.release([event.key])

    def finished_elsewhere(self) -> Iterator[Reused]:
        """The trials that other drivers have finished since the last call."""
        keys = [key for cohort in self.elsewhere for key in cohort.keys]
        done = self.store.finished(self.experiment, keys) if keys else set()
        yield from (Reused(key) for key in sorted(done))
        self.elsewhere = [left for cohort in self.elsewhere for left in cohort.only(set(cohort.keys) - done)]

    def retry(self) -> list[Cohort]:
        """Remove and return the cohorts that others leased, to try again to lease them: the others may have died."""
        left, self.elsewhere = self.elsewhere, []
        return left
