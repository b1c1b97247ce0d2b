"""Stores of trials: `base` has the interface and `mlflow` implements it. The tests also have a store in memory."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farback.stores.base import Store


def open_store(store: Store | str | None, root: Path) -> AbstractContextManager[Store]:
    """A store for a `with` block: the given one, which stays open afterwards, or the one at a URI.

    The default URI is MLFLOW_TRACKING_URI, else the SQLite file below the project's directory `root`.
    """
    from farback.stores.base import Store  # torch and mlflow take seconds to import

    if isinstance(store, Store):
        return nullcontext(store)
    from farback.stores.locations import default_uri
    from farback.stores.mlflow import MLflow

    return MLflow(store or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root))
