"""Defines the base class of frozen pydantic records that hash to a key, and user errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar

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


class UserError(ValueError):
    """A mistake that the user can fix. Commands print its message without a traceback."""

    exit_code: ClassVar[int] = 2  # the exit code of a command that this error ends


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


# Words of other libraries and papers, in lower case, with the words of farback that they may stand for
SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("rnn", "vanilla", "vanilla_rnn", "simple_rnn", "simplernn"), ("elman", "cell")),
        **dict.fromkeys(("model", "network", "module", "architecture"), ("cell",)),
        **dict.fromkeys(("num_layers", "n_layers", "layers"), ("depth",)),
        **dict.fromkeys(("hidden_size", "hidden_dim", "units", "width"), ("hidden",)),
        **dict.fromkeys(("learning_rate", "learningrate", "rate"), ("lr",)),
        **dict.fromkeys(("batch_size", "batchsize"), ("batch",)),
        **dict.fromkeys(("epochs", "iterations", "updates", "max_steps", "num_steps"), ("steps",)),
        **dict.fromkeys(("grad_clip", "gradient_clip", "clip_norm", "max_norm", "max_grad_norm"), ("clip",)),
        **dict.fromkeys(("initialization", "initialisation", "initializer"), ("init",)),
        **dict.fromkeys(("curriculum",), ("train_lags",)),
        **dict.fromkeys(("scheduler", "lr_schedule", "lr_scheduler", "learning_rate_schedule"), ("schedule",)),
        **dict.fromkeys(("warm_up", "warmup_steps", "num_warmup_steps"), ("warmup",)),
        **dict.fromkeys(("decay", "l2"), ("weight_decay",)),
        **dict.fromkeys(
            ("variational_dropout", "weight_dropout", "weight_drop", "dropconnect"), ("recurrent_dropout",)
        ),
        **dict.fromkeys(("tbptt", "bptt", "tbptt_steps", "truncated_bptt", "truncated_bptt_steps"), ("truncate",)),
        **dict.fromkeys(("seeds", "random_seed", "random_state"), ("seed",)),
        **dict.fromkeys(("activation",), ("nonlinearity",)),
        **dict.fromkeys(("norm", "layer_norm", "layernorm", "rms_norm", "rmsnorm"), ("norm", "block")),
        **dict.fromkeys(("residual", "skip", "skip_connection"), ("residual", "block")),
        **dict.fromkeys(("conv", "short_conv", "d_conv"), ("conv", "block")),
        **dict.fromkeys(("mlp", "glu"), ("mlp", "block")),
        **dict.fromkeys(("attention", "transformer"), ("attention", "cell")),
        **dict.fromkeys(("num_heads", "n_heads", "nhead"), ("heads",)),
    }
)


def nearest(given: str, allowed: Collection[str]) -> str | None:
    """The allowed word that `given` most likely means: the same but for case, a synonym, or one spelled similarly."""
    lower = {word.lower(): word for word in allowed}
    exact = next((word for word in (given.lower(), *SYNONYMS.get(given.lower(), ())) if word in lower), None)
    near = [exact] if exact else get_close_matches(given.lower(), list(lower), n=1, cutoff=0.6)
    return lower[near[0]] if near else None


def choices(given: str, allowed: list[str], meant: str | None = None) -> str:
    """The allowed words as a phrase for messages, with the most likely one first; `meant` is a better hint, if any."""
    near = nearest(given, allowed)
    words = [word for word in allowed if word == near] + [word for word in allowed if word != near]
    hint = meant or near
    return f"{f'did you mean {hint!r}? ' if hint else ''}choose from {', '.join(words)}"
