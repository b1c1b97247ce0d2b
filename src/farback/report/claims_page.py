"""The page of `farback claims`: published statements, how each was checked, and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from farback.records.claim import Claim
from farback.report.analysis import Analysis, Figure, Table
from farback.report.claim_verdicts import VERDICTS, Finding, not_run, row, rule, texts
from farback.report.page import Page, publish

NOTES = (
    "Each claim is in a config, with its source, the published number and the rule for its verdict. The rules were "
    "committed before the networks were trained; where networks had been trained for another question before, the "
    "setting says that the rule is not blind. The function `findings` of the experiment's script applies the rule. A "
    "rule that proved wrong after the run says what was corrected, and what the verdict had been.",
    "A verdict is about the setting in the second table, which also says how it differs from the publication's: a "
    "claim that is refuted here may hold in the original setting. *Confirmed*, *refuted* and *depends* need evidence: "
    "a 95 % interval that lies wholly on one side, an exact test with p < .05, or a number without sampling error. "
    "Everything else is *inconclusive*, with the reason: the intervals are too wide, or no network learned the task "
    "with this budget. Rows are judged separately: there is no multiple-comparison correction.",
    "Train what is missing, then write this page: `farback claims{options}`",
    "Write this page again from the store, without training: `farback claims --report{options}`",
    "Repeat with other seeds: `farback claims --shift-seeds 100`, or for a few rows with `--only ID`. The repetition "
    "has its own page.",
    "Intervals are over seeds, 95 %. The interval of a median runs between two seeds' values; with fewer than six "
    "seeds it runs from the smallest to the largest (94 % with five, 75 % with three). A median of fewer than five "
    "seeds decides nothing. Proportions use Wilson intervals: of five seeds, five successes are significantly more "
    "than half, and none significantly fewer. Seeds, updates and sizes are in the second table.",
    "**Words.** *Skill* is 0 at the best guess without memory and 1 at perfect answers. A *horizon* is the lag "
    "at which half of fresh seeds succeed. Initialisations: *chrono* draws the gate biases for memories of up to a "
    "number of steps (Tallec and Ollivier 2018); *orthogonal* and *identity* are the recurrent matrix; "
    "*IRNN* is relu from the identity. The *gain* multiplies an orthogonal matrix, *scaled* sets the spectral radius "
    "of a random one. A gradient *explodes* where its mean log grows with the lag, in *nats* (natural logarithm) a "
    "step.",
    "`docs/claims.md` explains how to add a claim.",
)


class FirstVerdict(NamedTuple):
    """The verdict and the number with the first seeds, for a claim that is repeated with other seeds."""

    verdict: str
    number: str


@dataclass(frozen=True)
class ClaimRow:
    """A claim with its present state.

    Attributes:
        config: the experiment's config, as a link from the page of claims.
        report: the experiment's page, as a link; empty if it does not exist.
        finding: None where the experiment was not run.
        missing: how many trials are still to be trained.
    """

    claim: Claim
    experiment: str
    config: str
    report: str
    finding: Finding | None
    missing: int
    first: FirstVerdict | None = None

    @property
    def waits_for_gpu(self) -> bool:
        """Whether the claim was not run because it needs a GPU."""
        return self.finding is None and self.claim.needs is not None


def ledger(rows: Sequence[ClaimRow]) -> Analysis:
    """The claims that were run, those that need a GPU in a separate table, and the counts of verdicts."""
    from farback import plots  # matplotlib takes a second to import

    waiting = [one for one in rows if one.waits_for_gpu]
    others = [one for one in rows if not one.waits_for_gpu]
    parts: list[Table | Figure] = []
    if others:
        cells = pd.DataFrame([_texts(one) for one in others])
        repeated = ["with the first seeds"] if any(one.first for one in others) else []
        shown = cells[["id", "claim", "published", "found", "verdict", *repeated, "page"]]
        parts.append(Table("claims", "What was claimed, and what was found", _frame(others), shown))
        if verdicts := {one.claim.id: one.finding.verdict for one in others if one.finding}:
            drawn = cells.loc[cells["id"].isin(list(verdicts)), ["id", "verdict", "claim", "published", "found"]]
            drawn = drawn.assign(verdict=drawn["id"].map(verdicts)).reset_index(drop=True)
            alt = (
                "One line for each claim: the refuted, those that depend on something, the inconclusive, the confirmed."
            )
            parts.append(Figure("verdicts", "Every claim that was run, by verdict", plots.verdicts(drawn), drawn, alt))
        checks = cells[["id", "source", "setting", "check", "corrected", "run"]]
        checks = checks.rename(columns={"check": "how it is checked"})
        checks = checks.assign(config=[Path(one.config).name for one in others])
        shown = cells[["id", "source", "setting, rule, and what was run", "config"]]
        parts.append(Table("checks", "How each was checked", checks, shown))
    if waiting:
        caption = "Claims that need a GPU, with a config that is ready to run"
        cells = pd.DataFrame([_texts(one) for one in waiting])
        shown = cells[["id", "claim", "source", "published", "how it is checked", "why", "config"]]
        parts.append(Table("gpu", caption, _frame(waiting), shown))
    return Analysis(_headline(rows), _verdict(others), parts, _counts(rows))


def write_ledger(rows: Sequence[ClaimRow], folder: Path, options: str = "", listed: bool = True) -> Page:
    """Write the page, the figure and the numbers; equal rows give equal bytes.

    Args:
        options: the options of the command that writes this page, beginning with a space.
        listed: whether the index of all pages lists this page.
    """
    context = {
        "name": "claims",
        "question": "Which published statements about the memory of recurrent networks hold?",
        "notes": [note.replace("{options}", options) for note in NOTES],
        "command": f"farback claims{options}",
        "listed": listed,
        "place": 100,  # the last question of README
    }
    return publish(ledger(rows), folder, "noted.md.j2", context)


def _counts(rows: Sequence[ClaimRow]) -> dict[str, float]:
    verdicts = Counter(one.finding.verdict for one in rows if one.finding)
    run, gpu = verdicts.total(), sum(one.waits_for_gpu for one in rows)
    counts = {"run": run, **{verdict: verdicts[verdict] for verdict in VERDICTS}, "gpu": gpu}
    return {name: float(count) for name, count in (counts | {"not run": len(rows) - run - gpu}).items()}


def _verdict_counts(rows: Sequence[ClaimRow]) -> str:
    counts = _counts(rows)
    return ", ".join(f"{counts[verdict]:g} {verdict}" for verdict in VERDICTS)


def _headline(rows: Sequence[ClaimRow]) -> str:
    counts = _counts(rows)
    not_run = f"; {counts['not run']:g} not run yet" if counts["not run"] else ""
    repeated = [one.finding.verdict == one.first.verdict for one in rows if one.finding and one.first]
    same = f" {sum(repeated)} of {len(repeated)} verdicts are the same as with the first seeds." if repeated else ""
    setting = " A verdict is about the setting that was run here, which is rarely the original one."
    run = f"{counts['run']:g} row{'s' * (counts['run'] != 1)} run"
    return f"{run}: {_verdict_counts(rows)}; {counts['gpu']:g} need a GPU{not_run}.{setting}{same}"


def _verdict(rows: Sequence[ClaimRow]) -> list[str]:
    """A line for each claim that has a `place`; then how often each verdict occurs among the others."""
    run = [one for one in rows if one.finding]
    lines = []
    for one in run:
        if one.finding and one.claim.place is not None:
            on = f" It depends on {one.finding.on}." if one.finding.on else ""
            on = f" Why: {one.finding.reason}." if one.finding.reason else on
            verdict = f"**{one.finding.verdict.capitalize()}**"
            lines.append(f"{verdict}: {one.claim.statement} Found: {one.finding.number}.{on}")
    if others := [one for one in run if one.claim.place is None]:
        lines.append(f"The other {len(others)} are in the table below: {_verdict_counts(others)}.")
    return lines or ["No claim was run yet."]


def _frame(rows: Sequence[ClaimRow]) -> pd.DataFrame:
    flat = []
    for one in rows:
        first = {"first_verdict": one.first.verdict, "first_number": one.first.number} if one.first else {}
        flat.append({**row(one.claim, one.finding), "experiment": one.experiment, **first})
    return pd.DataFrame(flat)


def _texts(one: ClaimRow) -> dict[str, str]:
    """The texts of a claim in all tables, by heading."""
    claim, finding = one.claim, one.finding
    run = f" Run: {finding.conditions}." if finding else ""
    return {
        **texts(claim, finding, not_run(one.missing)),
        **{name: getattr(claim, name) or "" for name in ("setting", "check", "why", "corrected")},
        "with the first seeds": f"{one.first.verdict}: {one.first.number}" if one.first else "",
        "page": f"[{one.experiment}]({one.report})" if one.report else one.experiment,
        "setting, rule, and what was run": rule(claim) + run,
        "run": finding.conditions if finding else "",
        "config": f"[{Path(one.config).name}]({one.config})",
    }
