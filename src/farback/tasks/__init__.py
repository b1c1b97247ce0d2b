"""Tasks: one file each. See `base` for the interface and the definition of a lag."""

from farback.tasks.base import FAMILY, Batch, Task
from farback.tasks.support.answers import Bits, Chance, OneOf, Rung, Within, skill
from farback.tasks.support.draws import arrays
from farback.tasks.support.scores import AnswerScores, Scores, score

build, names = FAMILY.build, FAMILY.names

__all__ = [
    "AnswerScores",
    "Batch",
    "Bits",
    "Chance",
    "OneOf",
    "Rung",
    "Scores",
    "Task",
    "Within",
    "arrays",
    "build",
    "names",
    "score",
    "skill",
]
