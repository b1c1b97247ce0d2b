"""A plug-in is a frozen pydantic record named by its file.

A *family* is a package whose modules are the plug-ins: `tasks/recall.py` holds the task called `recall`. Adding a
file adds a plug-in and nothing else has to know: configs, the JSON Schema, the law tests and `farback list` ask the
family. Other packages add plug-ins by entry points (`farback.plugins`). A record is its own identity: `spec()` writes
it out, `digest()` hashes it, and `build` reads it back.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import logging
import multiprocessing
import pkgutil
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    GetCoreSchemaHandler,
    Strict,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from farback.plugins import Offer, PluginError, chosen, offers

log = logging.getLogger("farback")

C = TypeVar("C", bound="Component")
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


class Component(Record, ABC):
    """The base of every plug-in.

    `name` is set from the file's name. `version` is raised by a person when equal parameters come to mean something
    new, so that results of the old meaning are not taken for results of the new one.
    """

    name: str = ""
    version: ClassVar[int] = 1
    family: ClassVar[Any] = None  # the Family this class is the base of, or a member of

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name a plug-in after the file that defines it: `name` is a field that admits one value."""
        super().__init_subclass__(**kwargs)
        stem = cls.__module__.rpartition(".")[2]
        own = inspect.get_annotations(cls)
        if stem != "base" and "name" not in own:
            cls.__annotations__ = {"name": Literal[stem], **own}
            cls.name = stem

    @model_validator(mode="after")
    def _numbers_are_held(self) -> Self:
        for name, value in self:
            if isinstance(value, float) and value and not SMALLEST <= abs(value) <= LARGEST:
                held = f"between {SMALLEST:g} and {LARGEST:g}"
                raise ValueError(f"{name} must be 0 or {held}, what single precision holds, got {value:g}")
        return self

    def spec(self) -> dict[str, Any]:
        """Plain values from which `build` makes an equal record."""
        return self.model_dump(mode="json")

    def digested(self) -> dict[str, Any]:
        """As for any record, with the plug-in's version, and whose it is where another package brings it."""
        home, top = getattr(self.family, "package", ""), type(self).__module__.partition(".")[0]
        whose = {} if top == home.partition(".")[0] else {"package": top}
        return {"version": self.version, **whose, **super().digested()}

    def label(self) -> str:
        """A short text for people: the name, and each field that is not at its default."""
        changed = [
            f"{name} {_short(getattr(self, name))}"
            for name, field in type(self).model_fields.items()
            if name != "name" and getattr(self, name) != field.get_default()
        ]
        return f"{self.name} ({', '.join(changed)})" if changed else self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field typed with a family's base class takes any plug-in of the family, by its name."""
        if cls.family is not None and cls.family.base is cls:
            return handler.generate_schema(cls.family.choice())
        return handler(source)


def _short(value: Any) -> str:
    if isinstance(value, Component):
        return value.label()
    return f"{value:g}" if isinstance(value, float) else str(value)


class Family(Generic[C]):
    """The plug-ins of one kind: the modules of a package, less those that are not plug-ins, and other packages' own.

    Args:
        package: the package's import name, such as "farback.tasks"; also the group of other packages' entry points.
        base: the class that every plug-in extends.
        kind: what one is called in messages, such as "task".
        apart: modules of the package that are not plug-ins.
    """

    def __init__(self, package: str, base: type[C], kind: str, apart: tuple[str, ...] = ()) -> None:
        self.package, self.base, self.kind, self.apart = package, base, kind, {"base", *apart}
        base.family = self

    def names(self) -> list[str]:
        """Every plug-in's name, sorted. Imports none of them, so that a broken one is among them."""
        return sorted({*self.shipped(), *offers(self.package)})

    def shipped(self) -> list[str]:
        """The names of the package's own plug-ins, sorted."""
        path = importlib.import_module(self.package).__path__
        return sorted(module.name for module in pkgutil.iter_modules(path) if module.name not in self.apart)

    def plugin(self, name: str) -> type[C]:
        """The class of the plug-in called `name`: the package's own, else another package's.

        Raises:
            ValueError: no such plug-in (the message lists the choices, nearest first), or its file holds none.
            PluginError: which is one: another package's plug-in that cannot be used.
        """
        if name not in self.shipped():
            offered = offers(self.package).get(name)
            if offered:
                return chosen(offered, self.kind).load(self.base, self.kind)
            raise ValueError(f"unknown {self.kind} {name!r}; {choices(name, self.names())}")
        module = importlib.import_module(f"{self.package}.{name}")
        found = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, self.base) and item.__module__ == module.__name__
            if not getattr(item, "__abstractmethods__", None)
        ]
        if not found:
            raise ValueError(f"{module.__file__}: holds no {self.base.__name__} that can be built")
        return found[-1]

    def members(self) -> list[type[C]]:
        """The class of every plug-in that can be used, sorted by name."""
        broken = self.broken()
        return [self.plugin(name) for name in self.names() if name not in broken]

    def broken(self) -> dict[str, str]:
        """Other packages' plug-ins that cannot be used, by name, and why."""
        shipped, found = self.shipped(), {}
        for name in offers(self.package):
            try:
                if name not in shipped:
                    self.plugin(name)
            except PluginError as error:
                found[name] = str(error)
        return found

    def hidden(self) -> list[Offer]:
        """Other packages' plug-ins that are never used, for the package has one of that name."""
        shipped = self.shipped()
        return [each for name, offered in offers(self.package).items() if name in shipped for each in offered]

    def maker(self, name: str) -> str:
        """The package that brings a plug-in, and its version; nothing for the family's own."""
        offered = offers(self.package).get(name)
        return chosen(offered, self.kind).package if offered and name not in self.shipped() else ""

    def build(self, spec: str | Mapping[str, Any] | C) -> C:
        """The plug-in that `spec` describes: a name, or `{"name": ..., field: value}`.

        Raises:
            ValueError: unknown name; `pydantic.ValidationError`, which is one, for a bad field.
        """
        if isinstance(spec, self.base):
            return spec
        values = {"name": spec} if isinstance(spec, str) else dict(cast(Mapping[str, Any], spec))
        if "name" not in values:
            raise ValueError(f"a {self.kind} needs a name; choose from {', '.join(self.names())}")
        return self.plugin(str(values["name"])).model_validate(values)

    def choice(self) -> Any:
        """The pydantic type "any plug-in of this family": a bare name stands for its defaults."""
        if multiprocessing.parent_process() is None:  # said once, not by every worker
            for each in self.hidden():
                log.warning(
                    "the %s %r of %s is not used: farback has one of that name", self.kind, each.name, each.package
                )
        members = self.members()
        record: Any = members[0]
        for member in members[1:]:
            record = record | member
        if len(members) > 1:
            record = Annotated[record, Discriminator("name")]
        name: Any = Literal[tuple(str(member.model_fields["name"].default) for member in members)]
        return Annotated[record, BeforeValidator(_named, json_schema_input_type=record | name)]


def _named(spec: Any) -> Any:
    return {"name": spec} if isinstance(spec, str) else spec


def choices(given: str, allowed: list[str]) -> str:
    """The allowed words as a phrase, with the nearest to `given` first."""
    near = get_close_matches(given, allowed, n=1, cutoff=0.5)
    rest = [word for word in allowed if word not in near]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}choose from {', '.join([*near, *rest])}"
