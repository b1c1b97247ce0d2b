"""Cells: one file each. See `base` for the interface."""

from farback.cells.base import FAMILY, Cell, GatedCell, SteppedCell

build, names = FAMILY.build, FAMILY.names

__all__ = ["Cell", "GatedCell", "SteppedCell", "build", "names"]
