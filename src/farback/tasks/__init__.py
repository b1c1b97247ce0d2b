"""Tasks: one file each. See `base` for the interface and the definition of a lag."""

from farback.tasks.base import FAMILY, Batch, Task
from farback.tasks.support.answers import Bits, Chance, OneOf, Rung, Within, skill

build, names = FAMILY.build, FAMILY.names

__all__ = ["Batch", "Bits", "Chance", "OneOf", "Rung", "Task", "Within", "build", "names", "skill"]
