"""The fields of a trial as plain values, for tables and MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from farback.measures.base import Measure
from farback.networks.equal_size import SizeMatch
from farback.records.record import Record
from farback.tasks.support.mixed_lags import Mixed

PlainValue = str | int | float | bool | None


def flattened(name: str, value: Any) -> dict[str, PlainValue]:
    """A field of a trial as dotted names and plain values."""
    if not isinstance(value, Record) or isinstance(value, Mixed | SizeMatch):
        return {name: _plain(value)}
    inner_names = [inner for inner in type(value).model_fields if (name, inner) != ("task", "lag")]
    flat: dict[str, PlainValue] = {}
    for inner in inner_names:
        one = getattr(value, inner)
        if isinstance(one, Mapping):  # the arguments of a module's class
            flat |= {f"{name}.{inner}.{key}": _plain(item) for key, item in one.items()}
        else:
            flat[f"{name}.{inner}"] = _plain(one)
    return flat


def _plain(value: Any) -> PlainValue:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def changed_settings(taken: Iterable[Measure]) -> dict[str, PlainValue]:
    """The fields of measures that differ from their default, because two trials may differ only in these."""
    return {
        f"measures.{measure.name}.{name}": _text_if_none_or_list(value)
        for measure in taken
        for name, field in type(measure).model_fields.items()
        if (value := getattr(measure, name)) != field.get_default()
    }


def _text_if_none_or_list(value: Any) -> PlainValue:
    """A value for a table; a missing value is the text "none", because a table has a gap where a default is kept."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else _plain(value)
