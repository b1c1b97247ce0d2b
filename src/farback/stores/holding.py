"""What a driver holds of an experiment in a tracking store: its claims, with patience and a heart that beats."""

from __future__ import annotations

from collections.abc import Collection

from farback.stores.beating import Heart
from farback.stores.claims import Claims, Lease
from farback.stores.tracking import ExperimentBoard, Tracking


class Holding:
    """The claims of this driver. Nothing is written, and no thread started, before the first one."""

    def __init__(self, tracking: Tracking, experiment_id: str, lease: Lease) -> None:
        self._keep = tracking.patience.keep
        self._claims = Claims(ExperimentBoard(tracking, experiment_id), lease)
        self._heart = Heart(self._claims.beat, lease.beat)

    def take(self, keys: Collection[str]) -> set[str]:
        """Claim trials; those that are now ours."""
        self._heart.start()
        return self._keep(lambda: self._claims.take(keys))

    def release(self, keys: Collection[str]) -> None:
        """Give trials back."""
        self._keep(lambda: self._claims.release(keys))

    def lost(self, key: str) -> bool:
        """Whether a trial that was ours has been taken over."""
        return self._keep(lambda: self._claims.lost(key))

    @property
    def sure(self) -> bool:
        """Whether nobody can have taken us for dead."""
        return self._claims.sure

    def dead(self) -> set[str]:
        """Look around; the owners that were found dead since this was last asked."""
        self._keep(self._claims.look)
        return self.found_dead()

    def found_dead(self) -> set[str]:
        """The same without another look."""
        found, self._claims.buried = self._claims.buried, set()
        return found

    def close(self) -> None:
        """Give everything back."""
        self._heart.stop()
        self._keep(self._claims.close)
