"""Encoders: one file each. See `base` for the interface."""

from farback.encoders.base import FAMILY, Encoder

build, names = FAMILY.build, FAMILY.names

__all__ = ["Encoder", "build", "names"]
