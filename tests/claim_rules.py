"""The verdicts that the rule of a claim can give, read from its text."""

from __future__ import annotations

from farback.records.claim import Claim
from farback.report.claim_verdicts import VERDICTS

UNREACHABLE = {  # the rule of these says that no data can refute the claim within this budget
    "lstm-thousand-adding": "refuted",
    "lstm-thousand-recall": "refuted",
    "hs97-guessing": "refuted",
}


def named_verdicts(claim: Claim) -> set[str]:
    """The verdicts that the text of a claim's rule names, without those that it calls impossible."""
    return {verdict for verdict in VERDICTS if verdict in claim.check.lower()} - {UNREACHABLE.get(claim.id, "")}
