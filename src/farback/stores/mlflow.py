"""The store that people browse: every trial a flat MLflow run. The only door to mlflow, which is imported late."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import math
import os
import platform
import sqlite3
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from farback.stores import locations, metrics, owners, views
from farback.stores.base import Recorded, Store, checked_name, tidy
from farback.trial import SCORE_COLUMNS, Event, Failed, Finished, Progress, Trial, TrialResult, scores

FLUSH_SECONDS = 2.0  # between writes of progress, so that the UI is live...
FLUSH_SHARE = 10  # ...and at least so many times what the last write took: the driver must not drown in writing
FLUSH_POINTS = 5000  # in memory before a write
BATCH_POINTS = 900  # MLflow takes 1000 entities in a request
PAGE = 1000  # runs in a request
FILES = ("result.json", "scores.csv")


class MLflow(Store):
    """Records in an MLflow tracking store: SQLite by default, any database or server by URI."""

    def __init__(self, uri: str | None = None) -> None:
        """Open a store, and create it if it is not there.

        Args:
            uri: `sqlite:///FILE`, `http://HOST:PORT`, another database; by default MLFLOW_TRACKING_URI, else the
                SQLite file below this project's `results/store`.
        """
        self.uri = locations.located(uri)
        with _quiet():
            self._client = _opened(self.uri)
        self._experiment = ""
        self._ids: dict[str, str] = {}
        self._trials: dict[str, Trial] = {}
        self._open: dict[str, _Run] = {}
        self._ended: dict[str, list[_Past]] = {}
        self._next_flush = 0.0
        self._tags: dict[str, str] = {}
