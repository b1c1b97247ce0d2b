"""Cells: one file each. See `base` for the interface."""

from farback.cells.base import FAMILY, Cell, DiagonalCell, GatedCell, SteppedCell
from farback.cells.support.pointwise_cell import PointwiseCell

build, names = FAMILY.build, FAMILY.names

__all__ = ["Cell", "DiagonalCell", "GatedCell", "PointwiseCell", "SteppedCell", "build", "names"]
