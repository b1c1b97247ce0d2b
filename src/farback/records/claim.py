"""A claim: a published statement and how it is checked, written down before anything is run."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from farback.records.record import Record

ID = r"^[a-z0-9]+(-[a-z0-9]+)*$"


def _one_line(text: str) -> str:
    """The text on one line: YAML's folded blocks end with a line break."""
    words = " ".join(text.split())
    if not words:
        raise ValueError("must say something, got nothing")
    return words


Words = Annotated[str, AfterValidator(_one_line)]


class Claim(Record):
    """One row of the ledger; part of no trial and no key.

    Attributes:
        id: a name in lower-case words with hyphens, unique over all configs.
        place: where its row stands among all: the lowest first, then those without one, in the order of their configs.
        statement: what was said, in a sentence.
        source: who said it, and where.
        setting: what it was said of: task, sizes, training; and what is run here.
        published: the published number as it was printed, or "no number".
        check: how it is checked, and what counts as confirmed, as refuted and as "depends".
        corrected: what of the rule was put right after the run, why, and what verdict it had given; else nothing.
        needs: gpu, where two processor cores cannot run it in hours: the config is then ready to run elsewhere.
        why: what makes it need that.
    """

    id: Annotated[str, StringConstraints(pattern=ID), Field(max_length=60)]
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
    def _says_why(self) -> Self:
        if (self.needs is None) != (not self.why.strip()):
            raise ValueError(f"needs and why go together: say why {self.id} needs a GPU, or leave both out")
        return self
