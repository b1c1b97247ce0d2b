"""Defines plug-ins, which are frozen pydantic records named after their files.

A *family* is a package with one plug-in in each module: `tasks/recall.py` contains the task called `recall`. To add a
plug-in, add a file; configs, the JSON Schema, the shared tests and `farback list` find it through its family. Other
packages add plug-ins by entry points (`farback.records.entry_points`).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import logging
import multiprocessing
import operator
import os
import pkgutil
from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, cast, get_args, get_origin

from pydantic import BeforeValidator, Discriminator, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema
from typing_extensions import override

from farback.records.entry_points import Offer, PluginError, offers, single_offer
from farback.records.record import LARGEST, SMALLEST, Record, choices, named

log = logging.getLogger("farback")

C = TypeVar("C", bound="Component")


class Component(Record, ABC):
    """The base class of every plug-in.

    `name` is the name of the file without .py. Increase `version` when the same fields get a new meaning, so that
    results with the old meaning are not reused.
    """

    name: str = ""
    version: ClassVar[int] = 1
    family: ClassVar[Any] = None  # the Family that the class belongs to

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name a plug-in after its file: its field `name` allows only the name of the file."""
        super().__init_subclass__(**kwargs)
        stem = cls.__module__.rpartition(".")[2]
        own = inspect.get_annotations(cls)
        if stem != "base" and "name" not in own:
            cls.__annotations__ = {"name": Literal[stem], **own}
            cls.name = stem

    @model_validator(mode="after")
    def _fits_single_precision(self) -> Self:
        for name, value in self:
            if isinstance(value, float) and value and not SMALLEST <= abs(value) <= LARGEST:
                bounds = f"between {SMALLEST:g} and {LARGEST:g}"
                raise ValueError(f"{name} must be 0 or {bounds}, the range of single precision, got {value:g}")
        return self

    def spec(self) -> dict[str, Any]:
        """The fields as plain values, from which `Family.build` makes an equal plug-in."""
        return self.model_dump(mode="json")

    @override
    def digested(self) -> dict[str, Any]:
        """The values to hash: the fields, the version and, for a plug-in of another package, the package's name."""
        home, top = getattr(self.family, "package", ""), type(self).__module__.partition(".")[0]
        package = {} if top == home.partition(".")[0] else {"package": top}
        return {"version": self.version, **package, **super().digested()}

    def label(self) -> str:
        """A short text for people: the name, and each field that differs from its default."""
        changed = [
            f"{name} {_short(getattr(self, name))}"
            for name, field in type(self).model_fields.items()
            if name != "name" and getattr(self, name) != field.get_default()
        ]
        return f"{self.name} ({', '.join(changed)})" if changed else self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a field whose type is a base class accept every plug-in of the class's family, chosen by its name."""
        if cls.family is not None and cls.family.base is cls:
            return handler.generate_schema(cls.family.choice())
        return handler(source)


def _short(value: Any) -> str:
    if isinstance(value, Component):
        return value.label()
    return f"{value:g}" if isinstance(value, float) else str(value)


@functools.cache
def _modules(folders: tuple[str, ...], changed: tuple[int, ...]) -> list[str]:
    """The sorted names of the modules in `folders` except `base`; a new time in `changed` invalidates the cache."""
    return sorted(one.name for one in pkgutil.iter_modules(folders) if not one.ispkg and one.name != "base")


@functools.cache
def _labels(family: Family[Any], names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """`Family.labels` while the family has these names."""
    labels: dict[str, dict[str, Any]] = {}
    for member in family.members():
        name = {"name": str(member.model_fields["name"].default)}
        for fields in ({}, *_closed_choices(member)):
            with suppress(ValueError):  # such as a plug-in that cannot be built from its name alone
                labels.setdefault(member.model_validate({**name, **fields}).label(), {**name, **fields})
    return {label: spec for label, spec in labels.items() if label not in names}


def _closed_choices(member: type[Component]) -> Iterator[dict[str, Any]]:
    """Each level of each field of a plug-in that is one of a few texts, as the only field of a spec."""
    for name, field in member.model_fields.items():
        if name != "name" and get_origin(field.annotation) is Literal:
            yield from ({name: level} for level in get_args(field.annotation))


class Family(Generic[C]):
    """The plug-ins of one kind: the modules of a package, and the plug-ins of other packages.

    `package` is an import name ("farback.tasks") and also the entry-point group. Every plug-in extends `base`.
    `kind` is the noun for one plug-in in messages ("task").
    """

    def __init__(self, package: str, base: type[C], kind: str) -> None:
        self.package, self.base, self.kind = package, base, kind
        base.family = self

    def names(self) -> list[str]:
        """Every plug-in's name, sorted. Nothing is imported, so broken plug-ins are included."""
        return sorted({*self.shipped(), *offers(self.package)})

    def shipped(self) -> list[str]:
        """The names of farback's own plug-ins, sorted."""
        folders = tuple(importlib.import_module(self.package).__path__)
        return list(_modules(folders, tuple(os.stat(folder).st_mtime_ns for folder in folders)))

    def plugin(self, name: str) -> type[C]:
        """The class of the plug-in called `name`. If farback and another package define one, farback's class is used.

        Raises:
            ValueError: there is no such plug-in (the message lists all names), or its file defines no plug-in.
            PluginError: a plug-in of another package cannot be used. PluginError is a ValueError.
        """
        if name not in self.shipped():
            offered = offers(self.package).get(name)
            if offered:
                return single_offer(offered, self.kind).load(self.base, self.kind)
            raise ValueError(f"unknown {self.kind} {name!r}; {choices(name, self.names())}")
        module = importlib.import_module(f"{self.package}.{name}")
        classes = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, self.base) and item.__module__ == module.__name__
            if not getattr(item, "__abstractmethods__", None)
        ]
        if not classes:
            raise ValueError(f"{module.__file__}: defines no subclass of {self.base.__name__} with all methods")
        return classes[-1]

    def members(self) -> list[type[C]]:
        """The class of every usable plug-in, sorted by name."""
        broken = self.broken()
        return [self.plugin(name) for name in self.names() if name not in broken]

    def broken(self) -> dict[str, str]:
        """Unusable plug-ins of other packages: a mapping from their names to error messages."""
        errors = {}
        for name in offers(self.package).keys() - set(self.shipped()):
            try:
                self.plugin(name)
            except PluginError as error:
                errors[name] = str(error)
        return dict(sorted(errors.items()))

    def hidden(self) -> list[Offer]:
        """Plug-ins of other packages that are not used, because farback itself has a plug-in of the same name."""
        shipped = self.shipped()
        return [each for name, offered in offers(self.package).items() if name in shipped for each in offered]

    def maker(self, name: str) -> str:
        """The package that offers a plug-in, with its version ("my-package 0.1"); empty for farback's own plug-ins."""
        offered = offers(self.package).get(name)
        return single_offer(offered, self.kind).package if offered and name not in self.shipped() else ""

    def labels(self) -> dict[str, dict[str, Any]]:
        """How tables and figures show plug-ins ("RNN tanh"), with the specs that give them; names are not among them.

        Each plug-in is shown with its defaults, and with each other level of each field that has a few choices.
        """
        return _labels(self, tuple(self.names()))

    def meant(self, text: str) -> dict[str, Any] | None:
        """The spec of the plug-in that has this name, or that tables and figures show so; None if there is none.

        `{"name": "elman", "nonlinearity": "tanh"}` for "RNN tanh", `{"name": "chrono", "longest": 320}` for
        "chrono (longest 320)". Capital letters do not count.
        """
        if text in self.names():
            return {"name": text}
        lower = {name.lower(): {"name": name} for name in self.names()}
        labels = {label.lower(): spec for label, spec in self.labels().items()} | lower
        if text.lower() in labels:
            return labels[text.lower()]
        head, _, rest = text.removesuffix(")").partition(" (")
        found = labels.get(head.lower())
        fields = [part.partition(" ")[::2] for part in rest.split(", ")]
        if found is None or not text.endswith(")"):
            return None
        with suppress(ValueError):
            spec = {**found, **{field: json.loads(value) for field, value in fields}}
            return spec if self.build(spec).label().lower() == text.lower() else None
        return None

    def build(self, spec: str | Mapping[str, Any] | C) -> C:
        """The plug-in that `spec` describes: a name, `{"name": ..., field: value}`, or the plug-in itself.

        A name as tables and figures show it ("GRU", "RNN tanh") stands for the plug-in that is shown so.

        Raises:
            ValueError: the name is unknown, or a field is wrong (`pydantic.ValidationError`, which is a ValueError).
        """
        if isinstance(spec, self.base):
            return spec
        values = dict(cast(Mapping[str, Any], named(spec)))
        if "name" not in values:
            raise ValueError(f"a {self.kind} needs a name; choose from {', '.join(self.names())}")
        if meant := self.meant(str(values["name"])):
            values = {**meant, **values, "name": meant["name"]}
        return self.plugin(str(values["name"])).model_validate(values)

    def choice(self) -> Any:
        """The pydantic type of any plug-in of this family. A bare name stands for the plug-in with its defaults."""
        if multiprocessing.parent_process() is None:  # log once, not in every worker
            for each in self.hidden():
                log.warning(
                    "the %s %r of %s is not used: farback has one of that name", self.kind, each.name, each.package
                )
        members = self.members()
        record: Any = functools.reduce(operator.or_, members)
        if len(members) > 1:
            record = Annotated[record, Discriminator("name")]
        name: Any = Literal[tuple(str(member.model_fields["name"].default) for member in members)]
        return Annotated[record, BeforeValidator(named, json_schema_input_type=record | name)]
