"""The columns that tell the groups of a sweep apart, for pages without a Python file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from farback.records.setting_text import value_text

SIZES = {"parameters": "parameters", "state": "numbers of state", "flops": "FLOPs a step"}  # follow from the settings
SCORES = ("measure", "step", "lag", "statistic", "value")
REPEATS = ("key", "seed", "status", "trained_lag", "role", "tuned")  # differ between trainings of one group
# Columns that are in the label, or that usually follow from others; they count if a group differs in them all the same.
DETAILS = ("cell.", "network.", "init.", "block.", "optimizer.beta", "optimizer.eps", "measures.")
LISTS = (".at", ".lags")  # lists of moments and lags; they often change with the lag, so they count only where needed
LABEL_HEADING = "network"  # on the page, of the column "label"
IN_LABEL = ("label", "cell", "init", "task", "train_lags", "depth", "bidirectional", "measures")


def groups(scores: pd.DataFrame) -> list[str]:
    """The label, and every setting that varies and is not in the label.

    Left out are settings that a tuned sweep chose, the hidden size where a parameter budget (`match`) chose it, and the
    fields of a component that follow from its name.
    """
    if "role" in scores:
        scores = scores[scores["role"] != "choice"]
    trials = scores.drop_duplicates("key")
    mixed = trials["train_lags"] != "fixed" if "train_lags" in trials else pd.Series(True, trials.index)
    known = {*SCORES, *SIZES, *REPEATS, *_tuned(trials)}
    if "match" in trials and trials["match"].notna().all():
        known.add("hidden")
    columns = [str(name) for name in trials.columns if name not in known]
    usual = [name for name in columns if name not in IN_LABEL and not name.startswith(DETAILS)]
    by = ["label", *(name for name in usual if _varies(trials[name]) and not _follows(trials, name))]
    for name in columns:
        # Training at one lag and at mixed lags are tables of their own, and are tested in ways of their own.
        parts = [trials[mixed], trials[~mixed]] if name.startswith("measures") else [trials]
        parts = [trials[mixed]] if name == "train_lags" else parts
        if name not in by and not name.endswith(LISTS) and any(_divides(own, by, name) for own in parts):
            by.append(name)
    training = [name for name in ("seed", "trained_lag", "train_lags") if name in trials]
    for name in filter(lambda name: name.endswith(LISTS), columns):
        if _varies(trials.loc[trials.duplicated([*by, *training], keep=False), name]):
            by.append(name)
    return by


def _divides(trials: pd.DataFrame, by: list[str], column: str) -> bool:
    """Whether a column has several values within one of the groups."""
    return _varies(trials[column]) and bool(trials.groupby(by, dropna=False)[column].agg(_varies).any())


def name_of(column: str) -> str:
    """The heading of a column on the page."""
    return LABEL_HEADING if column == "label" else column


def group_cells(row: Mapping[Any, Any], by: Sequence[str]) -> dict[str, str]:
    """The cells that name a group in a table of texts, by heading; "none" for a setting that the group lacks."""
    return {name_of(name): row[name] if isinstance(row[name], str) else value_text(row[name]) for name in by}


def rows_with(frame: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a frame that have these values; a missing value equals another missing value."""
    for name, value in values.items():
        frame = frame[frame[name].isna() if pd.isna(value) else frame[name] == value]
    return frame


def _varies(values: pd.Series[Any]) -> bool:
    """Whether a column has several values, of which a missing one is one."""
    return len(values.drop_duplicates()) > 1


def _follows(trials: pd.DataFrame, column: str) -> bool:
    """Whether a component's field has one value, and is missing where the component has another name."""
    name = f"{column.rpartition('.')[0]}.name"
    if name == column or name not in trials or _varies(trials[column].dropna()):
        return False
    return not trials.groupby(name)[column].agg(_varies).any()


def _tuned(trials: pd.DataFrame) -> set[str]:
    """The columns named in the column `tuned`, which has texts such as "optimizer.lr 0.01, batch 16"."""
    texts = set(trials["tuned"].dropna()) if "tuned" in trials else set()
    return {part.rpartition(" ")[0] for text in texts for part in str(text).split(", ")}


def told_apart(scores: pd.DataFrame, by: Sequence[str], names: Sequence[str]) -> list[str]:
    """`by`, and those of the named columns in which trials of a group differ."""
    columns = list(by)
    for name in names:
        if name not in columns and scores.drop_duplicates([*columns, name]).duplicated(columns).any():
            columns.append(name)
    return columns
