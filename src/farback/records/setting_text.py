"""How settings and groups of trials are written in names, headlines, legends and tables: "hidden 8, batch 64".

A setting is a column of the frame of scores and a value. The column is a field of a trial ("hidden"), or a field of one
of its components ("optimizer.lr").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

LABELS = ("label", "group")  # columns that hold the name of a network
ALL = "all"  # the name of a group without settings
DEFAULT_START = "PyTorch's start"  # the name of a group of which only the default initialisation is known
DEFAULT_INIT = "torch"  # not written, because labels do not have it either


def word(column: str, others: Collection[str] = ()) -> str:
    """The word for a column: "lr" for "optimizer.lr", or "optimizer lr" where another column ends in the same word."""
    component, _, field = column.rpartition(".")
    if field == "name" and component:
        return component.replace("_", " ")
    shared = any(other != column and other.rpartition(".")[2] == field for other in others)
    return (f"{component}.{field}" if shared and component else field).replace("_", " ").replace(".", " ")


def value_text(value: Any) -> str:
    """A value without its column: "8", "0.01", "none" if it is missing, "true"; a list is in parentheses."""
    if value is None or value != value:
        return "none"
    if type(value).__name__ in ("bool", "bool_"):
        return str(bool(value)).lower()
    text = value if isinstance(value, str) else format(value, ".10g") if hasattr(value, "__float__") else str(value)
    return f"({text})" if ", " in text and not (text.startswith("(") and text.endswith(")")) else text


def setting_text(column: str, value: Any, others: Collection[str] = ()) -> str:
    """A value with the word for its column, such as "hidden 8"; `others` are the other columns of the group."""
    return f"{word(column, others)} {value_text(value)}"


def group_text(group: Mapping[Any, Any]) -> str:
    """The name of a group of trials, from its values by column: "LSTM, chrono, hidden 8, batch 64".

    The columns label and group have names as values, of which cell and init are parts; every other value has its word.
    """
    columns = [str(column) for column in group]
    labelled = any(column in LABELS for column in columns)
    parts = []
    for column, value in zip(columns, group.values(), strict=True):
        if column in LABELS or column in ("cell", "init"):
            parts += [str(value)] if column in LABELS or not (labelled or value == DEFAULT_INIT) else []
        else:
            parts.append(setting_text(column, value, columns))
    return ", ".join(part for part in parts if part) or (DEFAULT_START if "init" in columns else ALL)
