"""Which cohorts this driver trains, where several drivers share an experiment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from farback.stores.base import Recorder, Store
from farback.training.checkpoint_folder import Folder
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Ended, Event, Paused, Reused


class LeasedWork:
    """Takes leases on cohorts as they are handed out, and remembers those that other drivers train.

    Args:
        store: that the drivers share.
        experiment: its name.
        recorder: this driver's, of the experiment.
        folder: of checkpoints, from which trials that another driver left are resumed.
    """

    def __init__(self, store: Store, experiment: str, recorder: Recorder, folder: Folder | None = None) -> None:
        self.store, self.experiment, self.recorder, self.folder = store, experiment, recorder, folder
        self.elsewhere: list[Cohort] = []
        self._refused: set[str] = set()

    def ours(self, items: Iterable[Cohort | None]) -> Iterator[Cohort | None]:
        """The cohorts, or the parts of them, that this driver may train; None where there is nothing for now."""
        for cohort in items:
            if cohort is None:
                yield None
                continue
            granted = self.recorder.lease(cohort.keys)
            self.elsewhere += cohort.only(set(cohort.keys) - granted)
            for ours in cohort.only(granted):
                yield from self._resumed(ours)
            self._refused |= set(cohort.keys) - granted

    def _resumed(self, cohort: Cohort) -> list[Cohort]:
        """A cohort from its newest checkpoints, if another driver was training it."""
        if self.folder is None or not self._refused & set(cohort.keys):
            return [cohort]
        return cohorts(cohort.trials, len(cohort.trials), self.folder.load(cohort.trials))

    def put(self, event: Event) -> None:
        """Record an event, and give back the lease of a trial that has ended."""
        if isinstance(event, Checkpoint | Paused | Reused):
            return
        self.recorder.put(event)
        if isinstance(event, Ended):
            self.recorder.release([event.key])

    def finished_elsewhere(self) -> Iterator[Reused]:
        """The trials that other drivers have finished since."""
        keys = [key for cohort in self.elsewhere for key in cohort.keys]
        done = self.store.finished(self.experiment, keys) if keys else set()
        yield from (Reused(key) for key in sorted(done))
        self.elsewhere = [left for cohort in self.elsewhere for left in cohort.only(set(cohort.keys) - done)]

    def retry(self) -> list[Cohort]:
        """Take the cohorts that others train, to request them again: their driver may have died."""
        left, self.elsewhere = self.elsewhere, []
        return left
