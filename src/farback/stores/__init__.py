"""Stores of trials: `base` has the interface; `mlflow` records in a database, `memory` in this process."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from farback.records.user_error import UserError

if TYPE_CHECKING:
    from farback.stores.base import Store


class NothingRecorded(UserError):
    """The store does not exist, and was to be read."""


def open_store(store: Store | str | None, root: Path, *, reading: bool = False) -> AbstractContextManager[Store]:
    """A store for a `with` block: the given one, which stays open afterwards, or the one at a URI.

    The default URI is MLFLOW_TRACKING_URI, else the SQLite file below the project's directory `root`. An SQLite file
    that does not exist is created, but not for `reading`.

    Raises:
        NothingRecorded: `reading`, and the SQLite file does not exist.
    """
    from farback.stores.base import Store  # torch and mlflow take seconds to import

    if isinstance(store, Store):
        return nullcontext(store)
    from farback.stores import locations

    uri = locations.located(store, root)
    path = locations.database(uri)
    if reading and path is not None and not path.exists():
        raise NothingRecorded(f"nothing is recorded yet in {locations.named(uri)}: {locations.BEGIN}")
    from farback.stores.mlflow import MLflow

    return MLflow(uri, reading=reading, project=root)
