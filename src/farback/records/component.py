"""A plug-in is a frozen pydantic record named by its file.

A *family* is a package whose modules are the plug-ins: `tasks/recall.py` holds the task called `recall`. Adding a
file adds a plug-in and nothing else has to know: configs, the JSON Schema, the law tests and `farback list` ask the
family. Other packages add plug-ins by entry points (`farback.records.entry_points`). A record is its own identity:
`spec()` writes it out, `digest()` hashes it, and `build` reads it back.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import multiprocessing
import pkgutil
from abc import ABC
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, cast

from pydantic import (
    BeforeValidator,
    Discriminator,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema

from farback.records.entry_points import Offer, PluginError, chosen, offers
from farback.records.record import LARGEST, SMALLEST, Record, choices, named

log = logging.getLogger("farback")

C = TypeVar("C", bound="Component")


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
    """

    def __init__(self, package: str, base: type[C], kind: str) -> None:
        self.package, self.base, self.kind = package, base, kind
        base.family = self

    def names(self) -> list[str]:
        """Every plug-in's name, sorted. Imports none of them, so that a broken one is among them."""
        return sorted({*self.shipped(), *offers(self.package)})

    def shipped(self) -> list[str]:
        """The names of the package's own plug-ins, sorted."""
        path = importlib.import_module(self.package).__path__
        return sorted(one.name for one in pkgutil.iter_modules(path) if not one.ispkg and one.name != "base")

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
        return Annotated[record, BeforeValidator(named, json_schema_input_type=record | name)]
