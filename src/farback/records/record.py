"""Defines the base class of frozen pydantic records that hash to a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Strict, model_validator
from pydantic.fields import FieldInfo

T = TypeVar("T")

SCALARS = frozenset({str, int, float, bool, type(None)})

Several = Annotated[tuple[T, ...], Strict(False)]  # stored as a tuple; lists are accepted too


@dataclass(frozen=True)
class Since:
    """Marks a field that a later release added: it is not part of the digest while it has its default value.

    Results recorded before the field existed are then still found. Use it as `Annotated[int, Since("0.2")] = 3`.
    """

    release: str


SMALLEST, LARGEST = 1e-30, 1e30  # training uses single precision, in which numbers below 1e-38 become zero


def single(value: float) -> float:
    """The number itself, if it is positive and in the range of single precision; otherwise raises ValueError."""
    if not SMALLEST <= value <= LARGEST:
        raise ValueError(f"must be between {SMALLEST:g} and {LARGEST:g}, the range of single precision, got {value:g}")
    return value


class Record(BaseModel):
    """A frozen pydantic model that refuses unknown keys and never converts types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _plain_numbers(cls, values: Any) -> Any:
        """NumPy numbers and arrays as plain ones, which are strictly checked."""
        return {name: _python(value) for name, value in values.items()} if isinstance(values, dict) else values

    def digested(self) -> dict[str, Any]:
        """The plain values that identify this record: every field except `Since` fields that have their default."""
        values: dict[str, Any] = {}
        for name, later in _fields(type(self)):
            value = getattr(self, name)
            if later is not None and value == later.get_default():
                continue
            values[name] = value if type(value) in SCALARS else _plain(value)
        return values

    def digest(self) -> str:
        """A hash of `digested()`: 16 hexadecimal digits, equal on every machine."""
        return digest(self.digested())


def digest(values: Any) -> str:
    """Hash plain values (as JSON with sorted keys) to 16 hexadecimal digits."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache  # a sweep may have 100 000 records of one class
def _fields(record: type[Record]) -> tuple[tuple[str, FieldInfo | None], ...]:
    """Each field's name, with the field's definition if it is marked with `Since`, otherwise with None."""
    fields = record.model_fields.items()
    return tuple((name, field if any(isinstance(m, Since) for m in field.metadata) else None) for name, field in fields)


def _python(value: Any) -> Any:
    """NumPy numbers and arrays as plain numbers and lists, also in lists, tuples and dicts; the rest unchanged."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if type(value) in (list, tuple):
        return type(value)(_python(item) for item in value)
    if type(value) is dict:
        return {key: _python(item) for key, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.digested()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def named(spec: Any) -> Any:
    """A bare name as a mapping (`lstm` becomes `{name: lstm}`); anything else is returned unchanged."""
    return {"name": spec} if isinstance(spec, str) else spec
