"""Shell completion of the names of configs and components.

A shell calls this at every press of Tab, so nothing slow is imported: names come from files and package metadata.
"""

from __future__ import annotations

import glob
from importlib.resources import files
from pathlib import Path
from typing import Any

from farback.records.entry_points import KINDS, offers


def configs(incomplete: str) -> list[str]:
    """Configs by name; by path if the word has a slash."""
    if "/" in incomplete:
        return sorted(glob.glob(f"{glob.escape(incomplete)}*.yaml"))
    return sorted(path.stem for path in Path("configs").glob("*.yaml") if path.stem.startswith(incomplete))


def kinds(incomplete: str) -> list[str]:
    """Kinds of components in plural, for `farback list`."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def singular_kinds(incomplete: str) -> list[str]:
    """Kinds of components in singular, for `farback show`."""
    return [kind for kind in KINDS.values() if kind.startswith(incomplete)]


def names(ctx: Any, incomplete: str) -> list[str]:
    """Names of the components of the kind before the cursor."""
    kind = ctx.params.get("kind")
    found = [name for package, singular in KINDS.items() if kind in (package, singular) for name in components(package)]
    return [name for name in found if name.startswith(incomplete)]


def components(package: str) -> list[str]:
    """The names of a kind's components, without importing its package, which imports torch."""
    folder = files("farback") / package
    modules = {Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".py")}
    return sorted({*modules, *offers(f"farback.{package}")} - {"__init__", "base"})
