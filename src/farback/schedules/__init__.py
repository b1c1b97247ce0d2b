"""Schedules of the learning rate: one file each. See `base` for the interface."""

from farback.schedules.base import FAMILY, Schedule

build, names = FAMILY.build, FAMILY.names

__all__ = ["Schedule", "build", "names"]
