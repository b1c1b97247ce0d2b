"""A claim: a published statement and how it is checked, written down before anything is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from farback.records.record import Record


def _one_line(text: str) -> str:
    """The text on one line, because YAML's folded blocks end with a line break."""
    words = " ".join(text.split())
    if not words:
        raise ValueError("the text must not be empty")
    return words


Words = Annotated[str, AfterValidator(_one_line)]


class Claim(Record):
    """A published statement that an experiment checks. It is not part of any trial.

    Attributes:
        id: the claim's name, lower-case words joined by hyphens, unique among all configs.
        place: position in the table of claims; claims without a `place` come last, in the order of their configs.
        statement: the published statement, in one sentence.
        source: authors and year of the publication, and where it appeared.
        setting: the task, network sizes and training in the publication, and how the experiment differs from them.
        published: the published number as printed, or "no number".
        check: how the statement is checked: which results confirm it, refute it, or show that it depends on conditions;
            any other result is inconclusive.
        corrected: what was changed in the check after the run, why, and the verdict before the change.
        needs: `gpu` if the training would take more than a few hours on two CPU cores.
        why: why the training needs a GPU; required if `needs` is given.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$"), Field(max_length=60)]
    place: Annotated[int, Field(ge=1)] | None = None
    statement: Words
    source: Words
    setting: Words
    published: Words
    check: Words
    corrected: Words | None = None
    needs: Literal["gpu"] | None = None
    why: str = ""

    @model_validator(mode="after")
    def _explains_needs(self) -> Self:
        if (self.needs is None) != (not self.why.strip()):
            raise ValueError(f"`needs: gpu` and `why` go together: say why {self.id} needs a GPU, or leave both out")
        return self
