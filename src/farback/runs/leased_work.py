"""What of a sweep is this driver's to train, where several drivers train it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from farback.stores.base import Overtaken, Store
from farback.training.checkpoint_folder import Folder
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Ended, Event, Paused, Reused


class Share:
    """Claims cohorts as they are handed out, and keeps those that other drivers are at.

    Args:
        store: that the drivers share.
        folder: of checkpoints, from which trials that another driver left go on.
    """

    def __init__(self, store: Store, folder: Folder | None = None) -> None:
        self.store, self.folder = store, folder
        self.elsewhere: list[Cohort] = []
        self._refused: set[str] = set()

    def ours(self, items: Iterable[Cohort | None]) -> Iterator[Cohort | None]:
        """The cohorts, or what is left of each, that are now ours to train; None where there is nothing for now."""
        for cohort in items:
            if cohort is None:
                yield None
                continue
            granted = self.store.claim(cohort.keys)
            self.elsewhere += cohort.only(set(cohort.keys) - granted)
            for ours in cohort.only(granted):
                yield from self._from_where_they_were_left(ours)
            self._refused |= set(cohort.keys) - granted

    def _from_where_they_were_left(self, cohort: Cohort) -> list[Cohort]:
        """A cohort again, after another driver was at it."""
        if self.folder is None or not self._refused & set(cohort.keys):
            return [cohort]
        return cohorts(cohort.trials, len(cohort.trials), self.folder.load(cohort.trials))

    def put(self, cohort: Cohort, event: Event) -> bool:
        """Record an event of a cohort; False where its trial has been taken over by another driver."""
        if isinstance(event, Checkpoint | Paused | Reused):
            return True
        try:
            self.store.put(event)
        except Overtaken:
            self.elsewhere += cohort.only({event.key})
            return False
        if isinstance(event, Ended):
            self.store.release([event.key])
        return True

    def settled(self) -> Iterator[Reused]:
        """What others have finished of what they were at."""
        done = self.store.finished([key for cohort in self.elsewhere for key in cohort.keys]) if self.elsewhere else ()
        yield from (Reused(key) for key in sorted(done))
        self.elsewhere = [left for cohort in self.elsewhere for left in cohort.only(set(cohort.keys) - set(done))]

    def again(self) -> list[Cohort]:
        """Take the cohorts that others were at, to ask for them again: their driver may have died."""
        left, self.elsewhere = self.elsewhere, []
        return left
