"""Cells: one file each. See `base` for the interface."""

from farback.cells.base import FAMILY, Cell, DiagonalCell, GatedCell, SteppedCell

build, names = FAMILY.build, FAMILY.names

__all__ = ["Cell", "DiagonalCell", "GatedCell", "SteppedCell", "build", "names"]
