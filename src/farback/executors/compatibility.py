"""What has to be equal on two machines for equal trials to give equal bits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from farback.records import entry_points
from farback.system import provenance

SOURCE = "farback's source"
VERSIONS = (*provenance.VERSIONS, SOURCE, provenance.PLUGINS)
MACHINE = ("machine", "cpu_capability")


@cache
def likeness() -> dict[str, str]:
    """Versions, a hash of farback's source, which tells an old copy on one node from a new one, and the machine.

    Of packages that bring plug-ins it has the versions.
    """
    machine = provenance.machine()
    brought = {provenance.PLUGINS: ", ".join(entry_points.packages()) or "none"}
    return {**provenance.versions(), SOURCE: _source(), **brought, **{name: machine[name] for name in MACHINE}}


def differences(theirs: Mapping[str, str], ours: Mapping[str, str], names: tuple[str, ...]) -> str:
    """What differs, for people: "torch 2.9.1 (here 2.13.0)"; empty where nothing does."""
    other = [name for name in names if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name)} (here {ours.get(name)})" for name in other)


def _source() -> str:
    """A hash of every module's name and text."""
    hashed, folder = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(folder.rglob("*.py")):
        hashed.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return hashed.hexdigest()[:12]
