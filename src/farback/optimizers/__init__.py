"""Optimizers: one file each. See `base` for the interface."""

from farback.optimizers.base import FAMILY, Optimizer, Tensors, clipped, stacked

build, names = FAMILY.build, FAMILY.names

__all__ = ["Optimizer", "Tensors", "build", "clipped", "names", "stacked"]
