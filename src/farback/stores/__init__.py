"""Where trials are recorded: `base` is the contract, `memory` the reference, `mlflow` the real one."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from farback.stores.base import Store
from farback.stores.locations import default_uri


def open_store(store: Store | str | None, root: Path) -> AbstractContextManager[Store]:
    """A store for the length of a `with` block.

    Args:
        store: a store, which stays open afterwards; or a URI; or None for MLFLOW_TRACKING_URI, else the SQLite file
            below `root`.
        root: the project's directory.
    """
    if isinstance(store, Store):
        return nullcontext(store)
    from farback.stores.mlflow import MLflow  # mlflow takes seconds to import

    return MLflow(store or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root))
