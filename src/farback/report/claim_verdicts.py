"""Findings: the experiment's answers to the published claims that it checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, get_args

import pandas as pd

from farback.records.claim import Claim
from farback.records.counted_nouns import counted
from farback.records.user_error import UserError, choices
from farback.report.analysis import Table

Verdict = Literal["confirmed", "refuted", "depends", "inconclusive"]
VERDICTS = get_args(Verdict)


@dataclass(frozen=True)
class Finding:
    """The answer to a claim.

    Attributes:
        number: our number with its interval, as text: "12 of 15 (0.55 to 0.93)".
        value: the same as a number; None if the answer is not a single number.
        low, high: the ends of its interval.
        unit: the unit of the value and its interval: "steps", "share of seeds", "skill".
        verdict: the verdict by the rule in the config.
        on: what the verdict depends on, if it is "depends"; else empty.
        conditions: what was run: seeds, updates, sizes.
        reason: why the result decides nothing, if the verdict is "inconclusive"; else empty.
    """

    number: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    verdict: Verdict
    on: str
    conditions: str
    reason: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {self.verdict!r}")
        for verdict, name in (("depends", "on"), ("inconclusive", "reason")):
            text = getattr(self, name)
            if (self.verdict == verdict) != bool(text):
                given = f"got verdict {self.verdict!r}, {name} {text!r}"
                raise ValueError(f"give `{name}` if the verdict is {verdict!r}, and only then; {given}")

    @property
    def verdict_text(self) -> str:
        """The verdict for the page: "depends on the optimizer", "inconclusive: none learned it in these updates"."""
        if self.on:
            return f"depends on {self.on}"
        return f"{self.verdict}: {self.reason}" if self.reason else self.verdict


def judged(script: ModuleType | None, claims: Sequence[Claim], scores: pd.DataFrame, name: str) -> dict[str, Finding]:
    """The finding for every claim, by the claim's id; claims that need a GPU may have no finding.

    Raises:
        UserError: the script has no function `findings`, or does not answer exactly the claims of the config.
    """
    findings: Callable[[pd.DataFrame], dict[str, Finding]] | None = getattr(script, "findings", None)
    known = [claim.id for claim in claims]
    required = [claim.id for claim in claims if claim.needs is None]
    if findings is None:
        if required:
            needs = "its script needs a function findings(scores) that returns a Finding for each"
            raise UserError(f"the config of {name} has the claims {', '.join(required)}: {needs}")
        return {}
    answers = findings(scores)
    for extra in answers.keys() - set(known):
        raise UserError(
            f"findings() of {name} returns an answer for {extra!r}, which is not a claim of its config; "
            f"{choices(extra, known)}"
        )
    if missing := [claim for claim in required if claim not in answers]:
        raise UserError(f"findings() of {name} returns no answer for {', '.join(missing)}")
    return {claim: answers[claim] for claim in known if claim in answers}


def claims_table(claims: Sequence[Claim], findings: Mapping[str, Finding], unjudged: str) -> Table:
    """The claims of one experiment with their findings by id; `unjudged` replaces the verdict where there is none."""
    frame = pd.DataFrame([row(claim, findings.get(claim.id)) for claim in claims])
    shown = pd.DataFrame([texts(claim, findings.get(claim.id), unjudged) for claim in claims])
    return Table("claims", "Published claims that this experiment checks", frame, shown)


def texts(claim: Claim, finding: Finding | None, unjudged: str) -> dict[str, str]:
    """The texts of a claim and its finding, by heading."""
    return {
        "id": claim.id,
        "claim": claim.statement,
        "source": claim.source,
        "published": claim.published,
        "how it is checked": rule(claim),
        "found": finding.number if finding else "",
        "verdict": finding.verdict_text if finding else unjudged,
    }


def not_run(missing: int) -> str:
    """The verdict of an experiment of which some trials are missing."""
    return f"not run yet: {counted(missing, 'trial')} {'is' if missing == 1 else 'are'} missing"


def rule(claim: Claim) -> str:
    """The setting, how the claim is checked, and what was corrected after the run."""
    corrected = f" **Corrected after the run:** {claim.corrected}" if claim.corrected else ""
    return f"{claim.setting} {claim.check}{corrected}"


def row(claim: Claim, finding: Finding | None) -> dict[str, object]:
    """A claim and its finding as one row of the CSV file; without a finding, the finding's columns are None."""
    names = Finding.__dataclass_fields__
    return claim.model_dump(exclude={"place"}) | {name: getattr(finding, name, None) for name in names}
