"""Files that are refused: the message says which file, where in it, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from farback import tasks

N, T = 30, 5


def arrays(rng: np.random.Generator, **changes: Any) -> dict[str, Any]:
    made = {"x": rng.normal(size=(N, T, 2)), "y": rng.integers(0, 2, N), **changes}
    return {name: value for name, value in made.items() if value is not None}


def with_nan(shape: tuple[int, ...], place: tuple[int, ...], value: float = np.nan) -> np.ndarray:
    made = np.random.default_rng(0).normal(size=shape)
    made[place] = value
    return made


WRONG_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "no y": ({"y": None}, r"has the arrays x; it needs x and y, and may have mask, lag, groups, time"),
    "a typo": ({"masks": np.ones((N, T))}, "has the arrays x, y, masks; it needs x and y"),
    "one axis": ({"x": np.zeros(N)}, r"x must hold numbers of shape \(N, T, I\), got float64 \(30,\)"),
    "texts as inputs": ({"x": np.full((N, T, 1), "a")}, "x must hold numbers"),
    "objects": ({"y": np.array([None] * N, dtype=object)}, "cannot be read as arrays without Python objects"),
    "other count": ({"y": np.zeros(N + 1)}, r"y must have the shape \(30,\).*got \(31,\)"),
    "wrong mask": ({"mask": np.ones((N, T + 1))}, r"mask must have the shape \(30, 5\), got \(30, 6\)"),
    "mask of twos": ({"mask": np.full((N, T), 2)}, "mask must hold zeros and ones"),
    "an empty sequence": ({"mask": np.arange(N)[:, None].repeat(T, 1) != 7}, "mask must hold|sequence 7 has no step"),
    "nan in x": ({"x": with_nan((N, T, 2), (3, 4, 1))}, r"x\[3, 4, 1\] is nan: only steps after the last 1 of mask"),
    "infinite x": ({"x": with_nan((N, T, 2), (3, 4, 1), np.inf)}, r"x\[3, 4, 1\] is inf"),
    "nan in y": ({"y": with_nan((N,), (9,))}, r"y\[9\] is nan"),
    "nan in y of a step": ({"y": with_nan((N, T), (9, 2))}, r"y\[9, 2\] is nan: mask says which answers exist"),
    "a lag too long": (
        {"y": np.zeros((N, T)), "lag": np.full((N, T), 3)},
        r"lag\[0, 0\] is 3; it must be .* from 0 to 0",
    ),
    "half a lag": ({"y": np.zeros((N, T)), "lag": np.full((N, T), -0.5)}, r"lag\[0, 0\] is -0.5"),
    "one answer": ({"y": np.ones(N)}, "all answers are 1.0: there is nothing to learn"),
    "two sequences": ({"x": np.zeros((2, T, 1)), "y": np.arange(2)}, "need at least 3 sequences, got 2"),
    "two groups": ({"groups": np.arange(N) % 2}, "need at least 3 groups, got 2"),
    "several numbers": (
        {"y": np.random.default_rng(0).normal(size=(N, 3))},
        r"bits \(the only kind of several targets\) need zeros and ones, got",
    ),
}


@pytest.mark.parametrize("what", WRONG_ARRAYS)
def test_wrong_arrays_are_refused(tmp_path: Path, rng: np.random.Generator, what: str) -> None:
    changes, message = WRONG_ARRAYS[what]
    np.savez(tmp_path / "wrong.npz", **arrays(rng, **changes))
    with pytest.raises(ValueError, match=message):
        tasks.build({"name": "table", "file": str(tmp_path / "wrong.npz")})


def rows(rng: np.random.Generator) -> pd.DataFrame:
    """Thirty people with four days each."""
    frame = pd.DataFrame({"person": np.repeat(np.arange(30), 4), "day": np.tile(np.arange(4), 30)})
    return frame.assign(pulse=rng.normal(size=120), ill=rng.integers(0, 2, 120), ward=frame["person"] % 6)


COLUMNS = {"sequence": "person", "step": "day", "inputs": ["pulse"], "target": "ill"}
Change = Callable[[pd.DataFrame], Any]


def with_value(column: str, row: int, value: Any) -> Change:
    return lambda frame: (
        frame.astype({column: object})
        .set_index(frame.index)
        .assign(**{column: [value if index == row else old for index, old in enumerate(frame[column])]})
    )


PLACE = r"rows\.csv, row 17 below the header, column"
WRONG_ROWS: dict[str, tuple[Change, dict[str, Any], str]] = {
    "an input is missing": (with_value("pulse", 16, None), {}, rf"{PLACE} 'pulse': the value is missing; .*carry"),
    "a target is missing": (with_value("ill", 16, None), {}, rf"{PLACE} 'ill': the value is missing"),
    "a sequence is missing": (
        with_value("person", 16, None),
        {"missing": "carry"},
        rf"{PLACE} 'person': the value is missing",
    ),
    "an input is text": (with_value("pulse", 16, "high"), {}, rf"{PLACE} 'pulse': inputs must be finite .*got 'high'"),
    "an input is infinite": (with_value("pulse", 16, np.inf), {}, rf"{PLACE} 'pulse': inputs must be finite numbers"),
    "a step is text": (with_value("day", 16, "soon"), {}, rf"{PLACE} 'day': must be a number or an ISO date.*'soon'"),
    "a step twice": (with_value("day", 17, 0), {}, r"row 18 below the header, column 'day': .*0.* occurs twice in its"),
    "two groups": (
        with_value("ward", 17, 5),
        {"columns": {**COLUMNS, "group": "ward"}},
        "column 'ward': the rows of its sequence have several values",
    ),
    "no such column": (
        lambda f: f,
        {"columns": {**COLUMNS, "target": "sick"}},
        "has no column 'sick'; it has person, day",
    ),
    "no columns": (lambda f: f, {"columns": None}, "is a table: columns must name its columns, at least the target"),
    "one sequence": (lambda f: f, {"columns": {"target": "ill"}}, "is one sequence: columns.sequence names"),
    "no rows": (lambda f: f.head(0), {}, "has no rows"),
    "a group is split": (
        lambda f: f,
        {"columns": {**COLUMNS, "group": "ward"}, "split": "index"},
        "split: index would put a group into several parts",
    ),
    "no time": (lambda f: f, {"split": "time"}, "split: time needs a time for each sequence"),
    "windows at random": (
        lambda f: f,
        {"columns": {"inputs": ["pulse"], "target": "ill"}, "window": 5, "split": "index"},
        "split: index would put the same rows into several parts",
    ),
    "a window too long": (
        lambda f: f,
        {"window": 5},
        "window 5 and 1 steps ahead do not fit: the longest series has 4",
    ),
    "texts as numbers": (
        with_value("ill", 0, "no"),
        {"answers": "numbers"},
        "answers: numbers need finite numbers, got",
    ),
}


@pytest.mark.parametrize("what", WRONG_ROWS)
def test_wrong_rows_are_refused(tmp_path: Path, rng: np.random.Generator, what: str) -> None:
    change, fields, message = WRONG_ROWS[what]
    change(rows(rng)).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ValueError, match=message):
        tasks.build({"name": "table", "file": str(tmp_path / "rows.csv"), "columns": COLUMNS, **fields})


def test_a_value_missing_in_a_later_file_of_a_folder_is_found_there(tmp_path: Path, rng: np.random.Generator) -> None:
    rows(rng).to_csv(tmp_path / "a.csv", index=False)
    with_value("pulse", 2, None)(rows(rng)).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(ValueError, match=r"b\.csv, row 3 below the header, column 'pulse'"):
        tasks.build({"name": "table", "file": str(tmp_path), "columns": COLUMNS})


def test_files_of_a_folder_with_other_columns_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    rows(rng).to_csv(tmp_path / "a.csv", index=False)
    rows(rng).rename(columns={"pulse": "heart"}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(ValueError, match=r"b\.csv has the columns person, day, heart, .*a\.csv has person, day, pulse"):
        tasks.build({"name": "table", "file": str(tmp_path), "columns": COLUMNS})


def test_what_is_no_file_of_sequences_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "missing.npz": "there is no file .*missing.npz; a relative path starts at the project's folder",
        "notes.txt": r"notes\.txt must end in \.npz, \.csv, \.parquet",
        "broken.npz": r"broken\.npz cannot be read",
        "broken.parquet": r"broken\.parquet cannot be read",
        "empty": "empty must hold .csv files or .parquet files, has 0 files",
    }.items():
        columns = COLUMNS if name.endswith("parquet") else None
        with pytest.raises(ValueError, match=message):
            tasks.build({"name": "table", "file": str(tmp_path / name), "columns": columns})


def test_options_of_tables_are_refused_for_arrays(tmp_path: Path, rng: np.random.Generator) -> None:
    np.savez(tmp_path / "fine.npz", **arrays(rng))
    for field, value in {"columns": COLUMNS, "asked": "every", "missing": "carry"}.items():
        with pytest.raises(ValueError, match=f"{field} is for .csv and .parquet files"):
            tasks.build({"name": "table", "file": str(tmp_path / "fine.npz"), field: value})
