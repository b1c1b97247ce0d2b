"""What a shell completes: names of configs and of plug-ins.

A shell asks at every press of Tab, so nothing heavy is imported: the names come from files and from packages' metadata.
"""

from __future__ import annotations

import glob
from importlib.resources import files
from pathlib import Path
from typing import Any

from farback.records.entry_points import KINDS, offers


def configs(incomplete: str) -> list[str]:
    """Configs by name, or by path where a path is begun."""
    if "/" in incomplete:
        return sorted(glob.glob(f"{glob.escape(incomplete)}*.yaml"))
    return sorted(path.stem for path in Path("configs").glob("*.yaml") if path.stem.startswith(incomplete))


def kinds(incomplete: str) -> list[str]:
    """The kinds of plug-ins, as `farback list` takes them."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def one_kind(incomplete: str) -> list[str]:
    """The same in singular, as one says `farback show cell`."""
    return [kind for kind in KINDS.values() if kind.startswith(incomplete)]


def names(ctx: Any, incomplete: str) -> list[str]:
    """The plug-ins of the kind that was typed before."""
    typed = ctx.params.get("kind")
    found = [name for package, kind in KINDS.items() if typed in (package, kind) for name in plugins(package)]
    return [name for name in found if name.startswith(incomplete)]


def plugins(package: str) -> list[str]:
    """The names of a kind's plug-ins, as its family's `names()`; without importing the package, which imports torch."""
    folder = files("farback") / package
    modules = {Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".py")}
    return sorted({*modules, *offers(f"farback.{package}")} - {"__init__", "base"})
