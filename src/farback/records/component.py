"""Defines plug-ins, which are frozen pydantic records named after their files.

A *family* is a package with one plug-in in each module: `tasks/recall.py` contains the task called `recall`. To add a
plug-in, add a file; configs, the JSON Schema, the shared tests and `farback list` find it through its family. A project
adds plug-ins by files in its folder `parts/` (`farback.records.parts`), and other packages by entry points
(`farback.records.entry_points`).
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
from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, cast, get_args, get_origin

from pydantic import (
    Discriminator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    TypeAdapter,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError
from typing_extensions import override

from farback.records.entry_points import Offer, Offered, PluginError, offers, single_offer
from farback.records.own_files import OwnFile, own_file, use_project
from farback.records.parts import abstract_methods, classes_of, misnamed, module_names, parts
from farback.records.record import LARGEST, SMALLEST, Record, named
from farback.records.user_error import choices

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
    own_file: ClassVar[OwnFile | None] = None  # the project's file that defines the class, if it is in `parts/`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name a plug-in after its file: its field `name` allows only the name of the file."""
        super().__init_subclass__(**kwargs)
        cls.own_file = own_file(cls.__module__)
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

    @property
    def used_file(self) -> OwnFile | None:
        """The project's file that defines the plug-in or that it uses, with its digest; None if there is none."""
        return self.own_file

    def spec(self) -> dict[str, Any]:
        """The fields as plain values, from which `Family.build` makes an equal plug-in."""
        return self.model_dump(mode="json")

    @override
    def digested(self) -> dict[str, Any]:
        """The values to hash: the fields, the version, and what defines a plug-in that is not farback's own.

        This is the digest of the file for a plug-in of the project, and the package's name for one of another package.
        """
        home, top = getattr(self.family, "package", ""), type(self).__module__.partition(".")[0]
        origin = {} if top == home.partition(".")[0] else {"package": top}
        if self.own_file is not None:
            origin = {"source": self.own_file.digest}
        return {"version": self.version, **origin, **super().digested()}

    @override
    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle a plug-in of the project with its project and the digest of its file, which `_loaded` checks."""
        if self.own_file is None:
            return super().__reduce_ex__(protocol)
        return _unpickled, (self.family.base, self.name, self.own_file), self.__getstate__()

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


@functools.cache
def _modules(folders: tuple[str, ...], changed: tuple[int, ...]) -> list[str]:
    """The names of the plug-ins in `folders`; a new time in `changed` invalidates the cache."""
    return module_names(*folders)


def _short(value: Any) -> str:
    if isinstance(value, Component):
        return value.label()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unpickled(base: type[Component], name: str, expected: OwnFile) -> Component:
    """An empty plug-in of a project, of which a pickle contains the fields.

    Raises:
        PluginError: the project is not on this machine, or the file is another one than in the process that pickled.
    """
    use_project(expected.project)
    found: type[Component] = base.family.plugin(name)
    if found.own_file is None or found.own_file.digest != expected.digest:
        raise PluginError(
            f"{expected.name} has changed since this run began: run the command again to train the new file"
        )
    return found.__new__(found)


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
    """The plug-ins of one kind: the modules of a package, those of the project in use, and those of other packages.

    `package` is an import name ("farback.tasks") and also the entry-point group; its last word ("tasks") is the folder
    in `parts/`. Every plug-in extends `base`. `kind` is the noun for one plug-in in messages ("task").
    """

    def __init__(self, package: str, base: type[C], kind: str) -> None:
        self.package, self.base, self.kind = package, base, kind
        self._shipped: dict[str, type[C]] = {}  # farback's own classes that were used, because a sweep asks often
        base.family = self

    def names(self) -> list[str]:
        """Every plug-in's name, sorted. Nothing is imported, so broken plug-ins are included."""
        return sorted({*self.shipped(), *self.offered()})

    def shipped(self) -> list[str]:
        """The names of farback's own plug-ins, sorted."""
        folders = tuple(importlib.import_module(self.package).__path__)
        return list(_modules(folders, tuple(os.stat(folder).st_mtime_ns for folder in folders)))

    def offered(self) -> dict[str, tuple[Offered, ...]]:
        """What the project and other packages offer as plug-ins, by name."""
        own, found = parts(self.package.rpartition(".")[2]), dict[str, tuple[Offered, ...]](offers(self.package))
        return found | {name: (part, *found.get(name, ())) for name, part in own.items()}

    def plugin(self, name: str) -> type[C]:
        """The class of the plug-in called `name`; farback's own class if there are others of this name.

        Raises:
            ValueError: there is no such plug-in (the message lists all names), or its file defines no plug-in.
            PluginError: a plug-in of the project or of another package cannot be used. PluginError is a ValueError.
        """
        if name in self._shipped:
            return self._shipped[name]
        if name not in self.shipped():
            if offered := self.offered().get(name):
                return single_offer(offered, self.kind).load(self.base, self.kind)
            hint = misnamed(self.package.rpartition(".")[2])
            raise ValueError(f"unknown {self.kind} {name!r}; {choices(name, self.names())}{hint}")
        module = importlib.import_module(f"{self.package}.{name}")
        classes = [one for one in classes_of(module, self.base) if not abstract_methods(one)]
        if not classes:
            raise ValueError(f"{module.__file__}: defines no subclass of {self.base.__name__} with all methods")
        return self._shipped.setdefault(name, classes[-1])

    def members(self) -> list[type[C]]:
        """The class of every usable plug-in, sorted by name."""
        broken = self.broken()
        return [self.plugin(name) for name in self.names() if name not in broken]

    def broken(self) -> dict[str, str]:
        """Unusable plug-ins of the project and of other packages: a mapping from their names to error messages."""
        errors = {}
        for name in self.offered().keys() - set(self.shipped()):
            try:
                self.plugin(name)
            except PluginError as error:
                errors[name] = str(error)
        return dict(sorted(errors.items()))

    def hidden(self) -> list[Offered]:
        """Plug-ins of the project and of other packages that have the name of a plug-in of farback's own."""
        shipped = self.shipped()
        return [each for name, offered in self.offered().items() if name in shipped for each in offered]

    def maker(self, name: str) -> str:
        """The package that offers a plug-in, with its version ("my-package 0.1"), or the project's file.

        Empty for farback's own plug-ins.
        """
        offered = self.offered().get(name)
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
                if isinstance(each, Offer):
                    log.warning(
                        "the %s %r of %s is not used: farback has one of that name", self.kind, each.name, each.package
                    )
        return Annotated[Any, PlainValidator(self._chosen), _Listed(self)]

    def _chosen(self, spec: Any) -> C:
        """As `build`, with errors of pydantic's tagged unions, which give the error's place in the whole record.

        A file in `parts/` with the name of a plug-in of farback's own is an error: neither may be taken for the other.
        """
        if isinstance(spec, self.base):
            return spec
        values = named(spec)
        if not isinstance(values, Mapping):
            raise PydanticKnownError("model_attributes_type")
        if "name" not in values:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "name"})
        name = str(values["name"])
        own = parts(self.package.rpartition(".")[2]).get(name)
        if own and name in self.shipped():
            raise ValueError(f"{own.value} has the name of a {self.kind} of farback's own: rename the file")
        if name not in self._shipped and own is None and name not in (names := self.names()):
            words = ", ".join(map(repr, names))
            context = {"discriminator": "name", "tag": name, "expected_tags": words}
            raise PydanticKnownError("union_tag_invalid", context)
        return self.plugin(name).model_validate(values)

    def union(self) -> Any:
        """The type of any plug-in that can be used now, for the JSON Schema."""
        members = self.members()
        record: Any = functools.reduce(operator.or_, members)
        if len(members) > 1:
            record = Annotated[record, Discriminator("name")]
        return record | Literal[tuple(str(member.model_fields["name"].default) for member in members)]


class _Listed:
    """Gives a field of a family the JSON Schema of its plug-ins."""

    def __init__(self, family: Family[Any]) -> None:
        self.family = family

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(TypeAdapter(self.family.union()).core_schema)
