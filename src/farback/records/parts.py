"""Finds the plug-ins of a user's project, one file each in `parts/cells/`, `parts/tasks/`... beside `configs/`.

    parts/cells/ema.py         the cell `ema`: the last class of the file that extends `farback.cells.base.Cell`
    parts/support/filters.py   no plug-in but a helper: `from parts.support.filters import low_pass`

A file is imported only when its plug-in is used, and a broken file does not affect the others.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TypeVar

from farback.records.entry_points import KINDS, PluginError
from farback.records.own_files import PARTS, error_place, forget_other_parts, parts_folder
from farback.records.user_error import nearest

T = TypeVar("T")
PROJECT = "this project"  # the origin of a plug-in, for people
NO_PARTS: Mapping[str, Part] = MappingProxyType({})


@dataclass(frozen=True)
class Part:
    """A file of the project that defines a plug-in; `folder` is that of its kind ("cells")."""

    name: str
    folder: str

    package = PROJECT

    @property
    def value(self) -> str:
        """The path of the file in its project: "parts/cells/ema.py"."""
        return f"{PARTS}/{self.folder}/{self.name}.py"

    def load(self, base: type[T], kind: str) -> type[T]:
        """The class of the plug-in.

        Raises:
            PluginError: the file cannot be imported, or defines no usable class that extends `base`.
        """
        prefix = f"the {kind} {self.name!r} of this project cannot be used"
        forget_other_parts()
        try:
            module = importlib.import_module(f"{PARTS}.{self.folder}.{self.name}")
        except (Exception, SystemExit) as error:  # whatever the user's code raises
            folder = Path(parts_folder())
            place = error_place(error, folder)
            where = os.path.relpath(place, folder.parent) if place else self.value
            raise PluginError(f"{prefix}: {where}: {type(error).__name__}: {error}") from error
        classes = classes_of(module, base)
        if not classes:
            needed = f"{base.__module__}.{base.__name__}"
            raise PluginError(f"{prefix}: {self.value} defines no class that extends {needed}")
        found = next((one for one in reversed(classes) if not abstract_methods(one)), classes[-1])
        if missing := abstract_methods(found):
            raise PluginError(f"{prefix}: {self.value}: {found.__name__} does not define {', '.join(missing)}")
        name = getattr(found, "model_fields")["name"].default  # noqa: B009 - a component's, which mypy cannot see
        if name != self.name:
            raise PluginError(
                f"{prefix}: {self.value}: {found.__name__} is called {name!r}: rename the file or the class"
            )
        return found


def classes_of(module: ModuleType, base: type[T]) -> list[type[T]]:
    """The classes that a module defines itself and that extend `base`, in order; some may be abstract."""
    found = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, base)]
    return [item for item in found if item.__module__ == module.__name__]


def abstract_methods(one: type) -> list[str]:
    """The methods that a class still has to define, sorted."""
    return sorted(getattr(one, "__abstractmethods__", ()))


def parts(folder: str) -> Mapping[str, Part]:
    """The plug-ins of one kind ("cells") in the project in use, by name. Nothing is imported."""
    path = f"{parts_folder()}/{folder}"
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        return NO_PARTS
    return _parts(path, changed)


def misnamed(folder: str) -> str:
    """What to rename if a folder of `parts/` is called nearly as that of a kind ("cell" for "cells"); else empty."""
    root = Path(parts_folder())
    others = sorted(one.name for one in root.iterdir() if one.is_dir()) if root.is_dir() else []
    meant = [name for name in others if name not in KINDS and nearest(name, list(KINDS)) == folder]
    files = {name: module_names(str(root / name)) for name in meant}
    return "".join(f"; {PARTS}/{name} is not read: rename it to {PARTS}/{folder}" for name in meant if files[name])


@cache
def _parts(path: str, changed: int) -> Mapping[str, Part]:
    folder = Path(path).name
    return MappingProxyType({name: Part(name, folder) for name in module_names(path)})


def module_names(*folders: str) -> list[str]:
    """The sorted names of the modules in folders; packages and `base` are no plug-ins."""
    return sorted(one.name for one in pkgutil.iter_modules(folders) if not one.ispkg and one.name != "base")
