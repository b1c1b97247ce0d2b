"""Completes the names of configs and components in a shell.

A shell calls this when Tab is pressed, so nothing slow is imported: names come from files and package metadata.
"""

from __future__ import annotations

import glob
from importlib.resources import files
from pathlib import Path
from typing import Any

from farback.records.entry_points import KINDS, offers
from farback.records.own_files import PARTS, use_project
from farback.records.parts import parts


def configs(incomplete: str) -> list[str]:
    """The names of matching configs of the project; their paths if the typed word contains a slash."""
    from farback.system.project import configs_in, project_folder

    if "/" in incomplete:
        return sorted(glob.glob(f"{glob.escape(incomplete)}*.yaml"))
    return sorted(path.stem for path in configs_in(project_folder()) if path.stem.startswith(incomplete))


def kinds(incomplete: str) -> list[str]:
    """Matching kinds of components in the plural ("cells"), for `farback list`."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def singular_kinds(incomplete: str) -> list[str]:
    """Matching kinds of components in the singular ("cell"), for `farback show`."""
    return [kind for kind in KINDS.values() if kind.startswith(incomplete)]


def started_kinds(incomplete: str) -> list[str]:
    """Matching kinds of components of which `farback new` can write one."""
    written = {Path(file.name).stem for file in (files("farback") / "starter" / PARTS).iterdir()}
    return [kind for kind in singular_kinds(incomplete) if kind in written]


def names(ctx: Any, incomplete: str) -> list[str]:
    """Matching names of components of the kind that was typed before."""
    kind = ctx.params.get("kind")
    found = [name for package, singular in KINDS.items() if kind in (package, singular) for name in components(package)]
    return [name for name in found if name.startswith(incomplete)]


def components(package: str) -> list[str]:
    """The names of a kind's components, without importing its package, which imports torch."""
    from farback.system.project import project_folder

    use_project(project_folder())
    folder = files("farback") / package
    modules = {Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".py")}
    return sorted({*modules, *parts(package), *offers(f"farback.{package}")} - {"__init__", "base"})
