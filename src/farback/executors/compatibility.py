"""Software versions and hardware that must be equal on two machines for equal trials to give equal bits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from farback.records import entry_points
from farback.system import provenance
from farback.system.source import source_digest

SOURCE = "farback's source"
VERSIONS = (*provenance.VERSIONS, SOURCE, provenance.PLUGINS)
MACHINE = ("machine", "cpu_capability")


@cache
def environment() -> dict[str, str]:
    """The values of `VERSIONS` and `MACHINE` in this process.

    Plug-in packages are compared by version, farback by a hash of its source, which also detects edited copies.
    """
    plugins = ", ".join(entry_points.packages()) or "none"
    machine = {name: provenance.machine()[name] for name in MACHINE}
    return {**provenance.versions(), SOURCE: source_digest(), provenance.PLUGINS: plugins, **machine}


def differences(theirs: Mapping[str, str], ours: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The values that differ, as text: "torch 2.9.1 (here 2.13.0)"; empty if none does."""
    different = [name for name in names if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name)} (here {ours.get(name)})" for name in different)
