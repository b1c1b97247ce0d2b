"""Tasks: one file each. See `base` for the interface and the definition of a lag."""

from farback.tasks.answers import Bits, Chance, OneOf, Rung, Within, skill
from farback.tasks.base import FAMILY, Batch, Task

build, names = FAMILY.build, FAMILY.names

__all__ = ["Batch", "Bits", "Chance", "OneOf", "Rung", "Task", "Within", "build", "names", "skill"]
