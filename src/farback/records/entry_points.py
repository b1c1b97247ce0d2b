"""Plug-ins that other packages bring: entry points in the groups farback.tasks, farback.cells and so on (`GROUPS`).

    [project.entry-points."farback.cells"]
    mycell = "my_package.mycell:MyCell"

Nothing of such a package is imported before one of its plug-ins is asked for, and one that is broken breaks no other.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

# The kinds of plug-ins: their packages, and what one of them is called.
KINDS = {
    "tasks": "task",
    "cells": "cell",
    "inits": "init",
    "encoders": "encoder",
    "optimizers": "optimizer",
    "measures": "measure",
}
GROUPS = tuple(f"farback.{package}" for package in KINDS)
T = TypeVar("T")


class PluginError(ValueError):
    """A plug-in of another package that cannot be used: its text names the plug-in, the package and the reason."""


@dataclass(frozen=True)
class Offer:
    """A plug-in that a package offers.

    Attributes:
        name: as a config is to name it.
        value: where it is: "my_package.mycell:MyCell".
        package: the distribution that says so, and its version: "my-package 0.1".
    """

    name: str
    value: str
    package: str
    entry: EntryPoint

    def load(self, base: type[T], kind: str) -> type[T]:
        """The class.

        Args:
            base: what it has to extend.
            kind: what such a plug-in is called.

        Raises:
            PluginError: it cannot be imported, is no class of that kind, or is called something else.
        """
        whose = f"the {kind} {self.name!r} of {self.package} ({self.value}) cannot be used"
        try:
            found = self.entry.load()
        except (Exception, SystemExit) as error:  # whatever the package's own code raises
            raise PluginError(f"{whose}: {type(error).__name__}: {error}") from error
        if not (isinstance(found, type) and issubclass(found, base)):
            what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
            raise PluginError(
                f"{whose}: it must name a class that extends {base.__module__}.{base.__name__}, not {what}"
            )
        if missing := sorted(getattr(found, "__abstractmethods__", ())):
            raise PluginError(f"{whose}: {found.__name__} lacks {', '.join(missing)}")
        called = getattr(found, "model_fields")["name"].default  # noqa: B009 - a component's, which mypy cannot see
        if called != self.name:
            mend = f'rename one of them, or write name: Literal["{self.name}"] = "{self.name}" in the class'
            raise PluginError(f"{whose}: {found.__name__} is called {called!r}, after its file; {mend}")
        return found


def offers(group: str) -> Mapping[str, tuple[Offer, ...]]:
    """What installed packages offer in a group, by name; more than one under a name is a clash."""
    return _offers(group, tuple(sys.path))


@cache
def _offers(group: str, path: tuple[str, ...]) -> dict[str, tuple[Offer, ...]]:
    """Asked once for each state of `sys.path`, on which packages are looked for."""
    found: dict[str, tuple[Offer, ...]] = {}
    for entry in entry_points(group=group):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
        found[entry.name] = (*found.get(entry.name, ()), Offer(entry.name, entry.value, package, entry))
    return {name: tuple(sorted(found[name], key=lambda offer: offer.package)) for name in sorted(found)}


def chosen(offered: tuple[Offer, ...], kind: str) -> Offer:
    """The one that is offered under a name.

    Raises:
        PluginError: there are several.
    """
    if len(offered) > 1:
        both = " and ".join(f"{each.package} ({each.value})" for each in offered)
        raise PluginError(f"the {kind} {offered[0].name!r} is offered by {both}: uninstall one of them")
    return offered[0]


def packages() -> list[str]:
    """Every installed package that offers plug-ins, with its version."""
    return sorted({each.package for group in GROUPS for offered in offers(group).values() for each in offered})
