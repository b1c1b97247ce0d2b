"""The exact result of a trial as two small files: `result.json` describes it, `scores.csv` holds every score.

MLflow drops infinities and cannot store (step, lag) pairs; these files keep every bit. `result.json` holds digests of
`scores.csv` and of its own content, so that truncated and changed files are detected. Pages read nothing of a trial but
these two files.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

from farback.stores.base import TRIAL_COLUMNS, Recorded, score_rows
from farback.trials.events import SCORE_COLUMNS, TrialResult

RESULT, SCORES = "result.json", "scores.csv"
KEYS = {"status", "trial", "provenance", "scores"}
NUMBERS = {"trained_lag", "seed"}  # columns of a trial
DIGEST = "digest"  # of everything else in `result.json`; farback 0.1.0 wrote the digest of the scores only


class Damaged(ValueError):
    """The files are truncated, changed, or not a result."""


def written(columns: dict[str, Any], result: TrialResult) -> dict[str, bytes]:
    """The contents of both files, by name."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(SCORE_COLUMNS)
    # repr of a float is the shortest text that reads back to the same bits; inf and nan have one, too
    lines.writerows((*row, repr(value)) for *row, value in score_rows(result.scores))
    table = text.getvalue().encode()
    about = {"status": result.status, "trial": columns, "provenance": result.provenance, "scores": _digest(table)}
    about[DIGEST] = _digest(_canonical(about))
    return {RESULT: (json.dumps(about, indent=1) + "\n").encode(), SCORES: table}


def read(about: bytes, table: bytes) -> Recorded:
    """The inverse of `written`. Raises Damaged: the files are truncated, changed, or not a result."""
    try:
        values = json.loads(about)
        digest = values.pop(DIGEST, None)
        columns, status, scores = dict(values["trial"]), values["status"], values["scores"]
        made = {str(name): str(text) for name, text in values.get("provenance", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{RESULT} is truncated, or not a result: {error!r}") from None
    if values.keys() - KEYS or (digest is not None and digest != _digest(_canonical(values))):
        raise Damaged(f"{RESULT} was changed: its digest does not match")
    wrong = [name for name in TRIAL_COLUMNS if not isinstance(columns.get(name), int if name in NUMBERS else str)]
    if wrong:
        raise Damaged(f"{RESULT} has no usable {', '.join(wrong)}")
    if status not in ("finished", "diverged"):
        raise Damaged(f"{RESULT} has the status {status!r}; it must be finished or diverged")
    if scores != _digest(table):
        raise Damaged(f"{SCORES} was changed or truncated: the digest of its {len(table)} bytes does not match")
    try:
        lines = csv.reader(io.StringIO(table.decode(), newline=""))
        if next(lines) != SCORE_COLUMNS:
            raise ValueError("its first line is not the column names")
        rows = [(measure, int(step), int(lag), name, float(value)) for measure, step, lag, name, value in lines]
    except (ValueError, StopIteration) as error:
        raise Damaged(f"{SCORES} is not a table of scores: {error}") from None
    return Recorded(columns, status, rows, made)


def _canonical(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
