"""The exact result of a trial as two small files: `result.json` says what it is of, `scores.csv` holds every score.

MLflow rounds nothing but drops infinities and has no place for (step, lag) pairs; these files lose nothing. The first
holds a digest of the second, so that a file that was cut short is told from a whole one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from farback.stores.base import Recorded
from farback.trials.events import SCORE_COLUMNS, Row, Status, TrialResult

RESULT, SCORES = "result.json", "scores.csv"


class Damaged(ValueError):
    """The files are not what was written."""


@dataclass(frozen=True)
class Exact:
    """What the two files say.

    Attributes:
        columns: of the trial, as in the tidy frame.
        status: finished or diverged.
        rows: of scores.
        checked: whether the files hold a digest, which agrees; those of earlier releases hold none.
    """

    columns: dict[str, Any]
    status: Status
    rows: list[Row]
    checked: bool


def rows(scores: pd.DataFrame) -> list[Row]:
    """A tidy frame of scores as plain values."""
    return list(zip(*(scores[name].tolist() for name in SCORE_COLUMNS), strict=True))


def written(columns: dict[str, Any], result: TrialResult) -> dict[str, bytes]:
    """What both files hold, by name."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(SCORE_COLUMNS)
    # repr of a float is the shortest text that reads back to the same bits; inf and nan have one, too
    lines.writerows((*row, repr(value)) for *row, value in rows(result.scores))
    table = text.getvalue().encode()
    about = {"status": result.status, "trial": columns, "provenance": result.provenance, "scores": _digest(table)}
    return {RESULT: (json.dumps(about, indent=1) + "\n").encode(), SCORES: table}


def read(about: bytes, table: bytes) -> Recorded:
    """The inverse of `written`, from what the two files hold.

    Raises:
        Damaged: they are cut short, or otherwise not what was written.
    """
    exact = parsed(about, table)
    return Recorded(exact.columns, exact.status, exact.rows)


def parsed(about: bytes, table: bytes) -> Exact:
    """The same as plain values.

    Raises:
        Damaged: as `read`.
    """
    try:
        said = json.loads(about)
        columns, status, digest = dict(said["trial"]), said["status"], said.get("scores")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{RESULT} is cut short or no result: {error!r}") from None
    if status not in ("finished", "diverged"):
        raise Damaged(f"{RESULT} has the status {status!r}, which is neither finished nor diverged")
    if digest is not None and digest != _digest(table):
        raise Damaged(f"{SCORES} is not what was written: {len(table)} bytes with another digest")
    try:
        text = table.decode()
        lines = csv.reader(io.StringIO(text, newline=""))
        if not text.endswith("\n") or next(lines) != SCORE_COLUMNS:
            raise ValueError("its first or its last line is not whole")
        found = [(measure, int(step), int(lag), name, float(value)) for measure, step, lag, name, value in lines]
    except ValueError as error:
        raise Damaged(f"{SCORES} is cut short or no table of scores: {error}") from None
    return Exact(columns, status, found, digest is not None)


def _digest(table: bytes) -> str:
    return "sha256:" + hashlib.sha256(table).hexdigest()
