"""A frozen pydantic record that hashes to a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Strict,
)
from pydantic.fields import FieldInfo

T = TypeVar("T")

SCALARS = frozenset({str, int, float, bool, type(None)})

Several = Annotated[tuple[T, ...], Strict(False)]  # stored as a tuple; a YAML list is welcome


@dataclass(frozen=True)
class Since:
    """Marks a field added in a later release: it stays out of the digest while it holds its default.

    So results recorded before the field existed are still found. Used as `Annotated[int, Since("0.2")] = 3`.
    """

    release: str


SMALLEST, LARGEST = 1e-30, 1e30  # training computes in single precision, and takes what is below 1e-38 for zero


def single(value: float) -> float:
    """A positive number that single precision holds.

    Raises:
        ValueError: another one.
    """
    if not SMALLEST <= value <= LARGEST:
        raise ValueError(f"must be between {SMALLEST:g} and {LARGEST:g}, what single precision holds, got {value:g}")
    return value


class UserError(ValueError):
    """A mistake that the person at the keyboard can mend: its message stands for itself, without a traceback."""

    exit_code: ClassVar[int] = 2  # of the command that it ends


class Record(BaseModel):
    """A frozen record that refuses unknown keys and never turns one type into another."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def digested(self) -> dict[str, Any]:
        """The plain values that identify this record: every field, less later additions at their default."""
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


@cache
def _fields(record: type[Record]) -> tuple[tuple[str, FieldInfo | None], ...]:
    """A record's fields, and more of those that were added later: asked once, for a sweep has 100 000 records."""
    fields = record.model_fields.items()
    return tuple((name, field if any(isinstance(m, Since) for m in field.metadata) else None) for name, field in fields)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.digested()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def named(spec: Any) -> Any:
    """A bare name as a mapping: `lstm` is `{name: lstm}`."""
    return {"name": spec} if isinstance(spec, str) else spec


def choices(given: str, allowed: list[str]) -> str:
    """The allowed words as a phrase, with the nearest to `given` first."""
    near = get_close_matches(given, allowed, n=1, cutoff=0.5)
    rest = [word for word in allowed if word not in near]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}choose from {', '.join([*near, *rest])}"
