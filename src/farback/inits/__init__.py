"""Initialisations: one file each. See `base` for the interface."""

from farback.inits.base import FAMILY, Init

build, names = FAMILY.build, FAMILY.names

__all__ = ["Init", "build", "names"]
