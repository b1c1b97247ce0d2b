"""Software versions and hardware that must be equal on two machines for equal trials to give equal bits."""

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
def environment() -> dict[str, str]:
    """The values of `VERSIONS` and `MACHINE` in this process.

    Plug-in packages are compared by version, farback by a hash of its source, which also detects edited copies.
    """
    folder, source = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        source.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    plugins = ", ".join(entry_points.packages()) or "none"
    machine = {name: provenance.machine()[name] for name in MACHINE}
    return {**provenance.versions(), SOURCE: source.hexdigest()[:12], provenance.PLUGINS: plugins, **machine}


def differences(theirs: Mapping[str, str], ours: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The values that differ, as text: "torch 2.9.1 (here 2.13.0)"; empty if none does."""
    different = [name for name in names if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name)} (here {ours.get(name)})" for name in different)
