"""The exact result of a trial as two small files: `result.json` says what it is of, `scores.csv` holds every score.

MLflow rounds nothing but drops infinities and has no place for (step, lag) pairs; these files lose nothing.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from farback.stores.base import Recorded
from farback.trial import SCORE_COLUMNS, TrialResult

RESULT, SCORES = "result.json", "scores.csv"


def write(folder: Path, columns: dict[str, Any], result: TrialResult) -> None:
    """Write both files into a folder."""
    about = {"status": result.status, "trial": columns, "provenance": result.provenance}
    (folder / RESULT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    with (folder / SCORES).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(SCORE_COLUMNS)
        values = (result.scores[name].tolist() for name in SCORE_COLUMNS)
        # repr of a float is the shortest text that reads back to the same bits; inf and nan have one, too
        lines.writerows((*row, repr(value)) for *row, value in zip(*values, strict=True))


def read(about: str, table: str) -> Recorded:
    """The inverse of `write`, from the two files' texts."""
    said = json.loads(about)
    lines = csv.reader(io.StringIO(table))
    next(lines)
    rows = [(measure, int(step), int(lag), statistic, float(value)) for measure, step, lag, statistic, value in lines]
    return Recorded(said["trial"], said["status"], rows)
