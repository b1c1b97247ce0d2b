"""What became of the claims that an experiment checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, get_args

import pandas as pd

from farback.records.claim import Claim
from farback.records.record import UserError, choices
from farback.report.analysis import Table

Verdict = Literal["confirmed", "refuted", "depends"]


@dataclass(frozen=True)
class Finding:
    """Our answer to a claim.

    Attributes:
        number: our number with its interval, as a person reads it: "12 of 15 (0.55 to 0.93)".
        value: the same for machines; None where no single number says it.
        low: lower end of its interval.
        high: upper end.
        unit: of the three: "steps", "share of seeds", "skill".
        verdict: whether the claim holds by the rule that its config wrote down.
        on: of a claim that depends, on what; else nothing.
        conditions: what was run: seeds, updates, sizes.
    """

    number: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    verdict: Verdict
    on: str
    conditions: str

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise ValueError(f"verdict must be one of {', '.join(get_args(Verdict))}, got {self.verdict!r}")
        if (self.verdict == "depends") != bool(self.on):
            raise ValueError(f"a claim that depends says on what, and no other does: {self.verdict}, on {self.on!r}")

    @property
    def said(self) -> str:
        """The verdict for people: "depends on the optimizer"."""
        return f"depends on {self.on}" if self.on else self.verdict


def judged(script: ModuleType | None, claims: Sequence[Claim], scores: pd.DataFrame, name: str) -> dict[str, Finding]:
    """The finding of every claim, by its id, from the scores of all trials.

    Args:
        script: the experiment's Python file.
        claims: its config's. Those that need a GPU may be left without a finding.
        scores: the tidy frame of its trials.
        name: the experiment's, for messages.

    Raises:
        UserError: the script has no function `findings`, or it leaves out a claim, or answers one that there is not.
    """
    findings: Callable[[pd.DataFrame], dict[str, Finding]] | None = getattr(script, "findings", None)
    known = [claim.id for claim in claims]
    wanted = [claim.id for claim in claims if claim.needs is None]
    if findings is None:
        if wanted:
            raise UserError(
                f"{name} claims {', '.join(wanted)}: its script needs a function findings(scores) that answers them"
            )
        return {}
    found = findings(scores)
    for extra in found.keys() - set(known):
        raise UserError(
            f"findings() of {name} answers {extra!r}, which its config does not claim; {choices(extra, known)}"
        )
    if left := [claim for claim in wanted if claim not in found]:
        raise UserError(f"findings() of {name} leaves out {', '.join(left)}")
    return {claim: found[claim] for claim in known if claim in found}


def claims_table(claims: Sequence[Claim], findings: Mapping[str, Finding], left: str) -> Table:
    """The claims of one experiment with what became of them.

    Args:
        claims: of its config.
        findings: by id.
        left: what stands for the verdict of a claim without a finding: why there is none.
    """
    rows = [row(claim, findings.get(claim.id)) for claim in claims]
    shown = [
        {
            "id": claim.id,
            "claim": claim.statement,
            "source": claim.source,
            "published": claim.published,
            "how it is checked": rule(claim),
            "found": findings[claim.id].number if claim.id in findings else "",
            "verdict": findings[claim.id].said if claim.id in findings else left,
        }
        for claim in claims
    ]
    return Table("claims", "Published claims that this experiment checks", pd.DataFrame(rows), pd.DataFrame(shown))


def rule(claim: Claim) -> str:
    """The setting, how it is checked there, and what of that was put right after the run."""
    after = f" **Corrected after the run:** {claim.corrected}" if claim.corrected else ""
    return f"{claim.setting} {claim.check}{after}"


def row(claim: Claim, finding: Finding | None) -> dict[str, object]:
    """A claim and its finding as one flat row; what is not known is None."""
    names = Finding.__dataclass_fields__
    return {
        **claim.model_dump(exclude={"place"}),  # its row tells
        **{name: getattr(finding, name) if finding else None for name in names},
    }
