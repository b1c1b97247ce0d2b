"""Finds plug-ins of other packages, which declare them as entry points in the groups farback.tasks, farback.cells...

    [project.entry-points."farback.cells"]
    mycell = "my_package.mycell:MyCell"

A package is imported only when one of its plug-ins is used, and a broken plug-in does not affect the others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, TypeVar

# The kinds of plug-ins: the package below `farback`, and the noun for one plug-in.
KINDS = {
    "tasks": "task",
    "cells": "cell",
    "inits": "init",
    "encoders": "encoder",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "measures": "measure",
}
T = TypeVar("T")


class Offered(Protocol):
    """A plug-in that the project or another package offers: its class is loaded when it is used."""

    @property
    def name(self) -> str:
        """The name of the plug-in."""

    @property
    def package(self) -> str:
        """Who offers it: "my-package 0.1", "this project"."""

    @property
    def value(self) -> str:
        """Where it is defined there: "my_package.mycell:MyCell", "parts/cells/mycell.py"."""

    def load(self, base: type[T], kind: str) -> type[T]:
        """The class of the plug-in. Raises PluginError: it cannot be used."""


class PluginError(ValueError):
    """A plug-in of the project or of another package cannot be used. The message names it, its origin and why."""


@dataclass(frozen=True)
class Offer:
    """A class ("my_package.mycell:MyCell", its `value`) that a package ("my-package 0.1") offers as a plug-in."""

    name: str
    value: str
    package: str
    entry: EntryPoint

    def load(self, base: type[T], kind: str) -> type[T]:
        """The class of the plug-in.

        Raises:
            PluginError: the class cannot be imported, does not extend `base`, lacks a method, or has another name.
        """
        prefix = f"the {kind} {self.name!r} of {self.package} ({self.value}) cannot be used"
        try:
            loaded = self.entry.load()
        except (Exception, SystemExit) as error:  # whatever the package's own code raises
            raise PluginError(f"{prefix}: {type(error).__name__}: {error}") from error
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            what = f"the class {loaded.__name__}" if isinstance(loaded, type) else f"a {type(loaded).__name__}"
            required = f"{base.__module__}.{base.__name__}"
            raise PluginError(f"{prefix}: the entry point must name a class that extends {required}, not {what}")
        if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
            raise PluginError(f"{prefix}: {loaded.__name__} does not define {', '.join(missing)}")
        name = getattr(loaded, "model_fields")["name"].default  # noqa: B009 - a component's, which mypy cannot see
        if name != self.name:
            fix = f'rename the file or the entry, or write name: Literal["{self.name}"] = "{self.name}" in the class'
            raise PluginError(f"{prefix}: {loaded.__name__} is called {name!r}, after its file: {fix}")
        return loaded


def offers(group: str) -> Mapping[str, tuple[Offer, ...]]:
    """The plug-ins that installed packages offer in a group, by name; several packages may offer the same name."""
    return _offers(group, tuple(sys.path))


@cache  # for each value of `sys.path`, the folders in which packages are found
def _offers(group: str, path: tuple[str, ...]) -> dict[str, tuple[Offer, ...]]:
    by_name: dict[str, list[Offer]] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
        by_name.setdefault(entry.name, []).append(Offer(entry.name, entry.value, package, entry))
    return {name: tuple(sorted(own, key=lambda offer: offer.package)) for name, own in by_name.items()}


def single_offer(offered: Sequence[Offered], kind: str) -> Offered:
    """The only offer of a plug-in.

    Raises:
        PluginError: several packages, or the project and a package, offer a plug-in of this name.
    """
    if len(offered) > 1:
        packages = " and ".join(f"{each.package} ({each.value})" for each in offered)
        raise PluginError(f"the {kind} {offered[0].name!r} is offered by {packages}: uninstall one or rename it")
    return offered[0]


def packages() -> list[str]:
    """Every installed package that offers plug-ins, with its version."""
    groups = [offers(f"farback.{package}") for package in KINDS]
    return sorted({each.package for group in groups for offered in group.values() for each in offered})
