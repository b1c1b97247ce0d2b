"""Files of sequences: which are read, digests of their contents, and the steps that they hold.

Shapes: R steps in all sequences of a file, one after another; I inputs, C targets, N sequences.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from farback.records.own_files import project_in_use, source_digest
from farback.records.record import Record, Several

KINDS = (".npz", ".csv", ".parquet")

Array = NDArray[Any]


class Columns(Record):
    """The columns of a CSV or Parquet file.

    Attributes:
        target: the column with the answers; several columns of zeros and ones are the bits of one answer.
        inputs: the columns that the network sees; by default all that are named nowhere else. With `window`, the target
            is one of these defaults, because its past is known.
        sequence: the column that says which sequence a row belongs to; by default each file is one sequence.
        step: the column that orders the rows of a sequence, numbers or ISO dates; by default their order in the file.
        group: the column whose values must not be split between training and testing, such as a person.
        time: the column by whose last value in a sequence `split: time` orders the sequences.
    """

    target: str | Several[str]
    inputs: Several[str] | None = None
    sequence: str | None = None
    step: str | None = None
    group: str | None = None
    time: str | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns with the answers."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @override
    def __str__(self) -> str:
        named = {name: value for name, value in self if value is not None}
        texts = (f"{name} {value if isinstance(value, str) else ' '.join(value)}" for name, value in named.items())
        return ", ".join(texts)


class Layout(NamedTuple):
    """How a file is read: the fields of `farback.tasks.table.Table` of the same names."""

    columns: Columns | None
    window: int | None
    ahead: int
    asked: str | None
    answers: str
    tolerance: float
    split: str | None
    missing: str
    scale: str


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of all sequences of a file, one after another.

    Attributes:
        input_RI: the inputs; nan where a value is missing.
        target_RC: the answers; a missing one is nan or None.
        asked_R: at which steps an answer is asked.
        lag_R: the lag that each answer needs; None if the file does not say.
        first_N, steps_N: the first step of each sequence, and how many it has.
        group_N, time_N: the group and the time of each sequence; None if the file has none.
        whole: whether there is one answer for a sequence, at its last step.
        names: the names of the inputs.
    """

    input_RI: NDArray[np.float64]
    target_RC: Array
    asked_R: NDArray[np.bool_]
    lag_R: NDArray[np.int64] | None
    first_N: NDArray[np.int64]
    steps_N: NDArray[np.int64]
    group_N: Array | None
    time_N: Array | None
    whole: bool
    names: tuple[str, ...]


def located(file: str) -> Path:
    """The absolute path of a file or folder given in a config; it is relative to the project's folder."""
    return ((project_in_use() or Path()) / file).absolute()


def files_of(path: Path) -> list[Path]:
    """The files to read: the file itself, or the .csv or .parquet files of a folder, sorted by name.

    Raises:
        ValueError: there is no such file, or a folder has no or several kinds of files.
    """
    if path.is_file():
        if path.suffix not in KINDS:
            raise ValueError(f"{path} must end in {', '.join(KINDS)}, or be a folder of .csv or .parquet files")
        return [path]
    if not path.is_dir():
        raise ValueError(f"there is no file {path}; a relative path starts at the project's folder")
    found = sorted(each for each in path.iterdir() if each.suffix in KINDS[1:] and each.is_file())
    if len({each.suffix for each in found}) != 1:
        raise ValueError(f"{path} must hold .csv files or .parquet files, has {len(found)} files of these kinds")
    return found


def content_digest(path: Path) -> str:
    """A digest of the contents of a file, or of the names and contents of the files of a folder.

    Raises:
        ValueError: a file cannot be read.
    """
    try:
        files = files_of(path)
        digests = [_digest(each, each.stat().st_mtime_ns, each.stat().st_size) for each in files]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if path.is_file():
        return digests[0]
    text = "".join(f"{each.name} {one}\n" for each, one in zip(files, digests, strict=True))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(10_000)
def _digest(path: Path, changed: int, size: int) -> str:
    return source_digest(path)
