"""The page of `farback claims`: published statements, how each was checked, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

import pandas as pd

from farback.records.claim import Claim
from farback.report.analysis import Analysis, Figure, Table
from farback.report.page import Page, publish
from farback.report.verdicts import Finding, Verdict, row, rule

NOTES = (
    "Each claim stands in a config, with its source, the published number and the rule by which it is judged. They "
    "were committed before the networks were trained; where those had been trained for another question, the setting "
    "says that the rule is not blind. The function `findings` of the experiment's script applies the rule. Where a "
    "rule proved wrong after the run, it says what was corrected, and what the verdict had been.",
    "A verdict is about the setting in the second table, which says in what it differs from the publication's: what is "
    "refuted there may hold in the original. One that depends on more updates than were run says that nothing was "
    "learned here, and so nothing decided. Each row stands for itself: there is no correction for their number.",
    "Train what is missing, then write this page: `farback claims{options}`",
    "Write this page again from the store, training nothing: `farback claims --report{options}`",
    "Repeat with other seeds: `farback claims --shift-seeds 100`, and a few rows alone with `--only ID`. They have a "
    "page of their own.",
    "Intervals are over seeds, 95 %. That of a median goes from one seed to another; with fewer than six seeds it is "
    "the smallest and the largest (94 % with five, 75 % with three). Shares have Wilson's. A mean horizon is Spearman "
    "and Karber's, where a seed beyond the lags tried counts as the last of them: `>=` and `<=` say so. Seeds, updates "
    "and sizes that were run are in the second table.",
    "**Words.** *Skill* is 0 at the best guess without memory and 1 at perfect answers. A *horizon* `[20, 40)` passes "
    "at lag 20 and fails at 40, the next one tried. Starts: *chrono* draws the biases of gates for memories of up to "
    "the lag that is asked (Tallec and Ollivier 2018); *orthogonal* and *identity* are the recurrent matrix; *IRNN* is "
    "relu from the identity. The *gain* multiplies an orthogonal matrix, *scaled* sets the spectral radius of a random "
    "one. A gradient *explodes* where its mean log grows with the lag, in *nats* (natural logarithm) a step.",
    "How a claim is added is in `docs/claims.md`.",
)
NOT_RUN = "not run yet"
VERDICTS = get_args(Verdict)


class Earlier(NamedTuple):
    """What the first seeds came to, where a claim is repeated with others."""

    verdict: str
    number: str


@dataclass(frozen=True)
class Row:
    """A claim as it stands.

    Attributes:
        claim: what was said, and how it is checked.
        experiment: that checks it.
        config: of the experiment, as a link from the page.
        report: its page, as a link from the ledger's; nothing where none was written.
        finding: what became of it; None where it was not run.
        missing: how many trials have to be trained first.
        first: what the first seeds came to, where this is a repetition.
    """

    claim: Claim
    experiment: str
    config: str
    report: str
    finding: Finding | None
    missing: int
    first: Earlier | None = None


def ledger(rows: Sequence[Row]) -> Analysis:
    """All claims that were run, those that need a GPU apart, and the counts of verdicts."""
    from farback import plots  # matplotlib takes a second to import

    elsewhere = [one for one in rows if one.claim.needs and one.finding is None]
    here = [one for one in rows if one not in elsewhere]
    run = [one for one in here if one.finding is not None]
    frame = pd.DataFrame([_flat(one) for one in here])
    parts: list[Table | Figure] = []
    if run:
        drawn = pd.DataFrame([_drawn(one, one.finding) for one in run if one.finding])
        alt = "One line for each claim, the refuted first, then those that depend on something, then the confirmed."
        parts.append(Figure("verdicts", "Every claim that was run, by verdict", plots.verdicts(drawn), drawn, alt))
    if here:
        parts.insert(0, Table("claims", "What was claimed, and what was found", frame, _found(here)))
        parts.append(Table("checks", "How each was checked", _checks(here), _checked(here)))
    if elsewhere:
        apart = pd.DataFrame([_flat(one) for one in elsewhere])
        parts.append(Table("gpu", "Claims that need a GPU, with a config that is ready to run", apart, _gpu(elsewhere)))
    return Analysis(headline(rows), _verdict(run), parts, _counts(rows))


def headline(rows: Sequence[Row]) -> str:
    """How many rows there are of every kind."""
    counts = _counts(rows)
    said = ", ".join(f"{counts[verdict]:g} {verdict}" for verdict in VERDICTS)
    left = f"; {counts['not run']:g} not run yet" if counts["not run"] else ""
    again = [one.finding.verdict == one.first.verdict for one in rows if one.finding and one.first]
    same = f" {sum(again)} of {len(again)} verdicts are those of the first seeds." if again else ""
    about = " A verdict is about the setting that was run here, which is rarely the original one."
    rows_run = f"{counts['run']:g} row{'s' * (counts['run'] != 1)} run"
    return f"{rows_run}: {said}; {counts['gpu']:g} need a GPU{left}.{about}{same}"


def write_ledger(rows: Sequence[Row], folder: Path, options: str = "", listed: bool = True) -> Page:
    """Write the page, the figure and the numbers; the same rows give the same bytes.

    Args:
        rows: of all configs.
        folder: where.
        options: of the command that writes this page, with a space before them.
        listed: whether the page is in the index of all pages.
    """
    context = {
        "name": "claims",
        "question": "Which published statements about the memory of recurrent networks hold?",
        "prediction": "",
        "refuted_by": "",
        "notes": [note.format(options=options) if "{options}" in note else note for note in NOTES],
        "origins": "",
        "command": f"farback claims{options}",
        "listed": listed,
    }
    return publish(ledger(rows), folder, "noted.md.j2", context)


def _counts(rows: Sequence[Row]) -> dict[str, float]:
    verdicts = [one.finding.verdict for one in rows if one.finding]
    gpu = sum(one.finding is None and one.claim.needs is not None for one in rows)
    kinds = {verdict: float(verdicts.count(verdict)) for verdict in VERDICTS}
    return {"run": float(len(verdicts)), **kinds, "gpu": float(gpu), "not run": float(len(rows) - len(verdicts) - gpu)}


def _verdict(run: Sequence[Row]) -> list[str]:
    """The claims that have a place, in its order; then how many others there are of each verdict."""
    lines, others = [], []
    for one in run:
        if one.claim.place is None:
            others.append(one)
        elif one.finding:
            on = f" It depends on {one.finding.on}." if one.finding.on else ""
            lines.append(
                f"**{one.finding.verdict.capitalize()}**: {one.claim.statement} Found: {one.finding.number}.{on}"
            )
    counts = _counts(others)
    said = ", ".join(f"{counts[verdict]:g} {verdict}" for verdict in VERDICTS)
    if others:
        lines.append(f"The other {len(others)} are in the table below: {said}.")
    return lines or ["No claim was run yet."]


def _flat(one: Row) -> dict[str, object]:
    """A row for machines."""
    first = {"first_verdict": one.first.verdict, "first_number": one.first.number} if one.first else {}
    return {**row(one.claim, one.finding), "experiment": one.experiment, **first}


def _drawn(one: Row, finding: Finding) -> dict[str, str]:
    return {
        "id": one.claim.id,
        "verdict": finding.verdict,
        "claim": one.claim.statement,
        "published": one.claim.published,
        "found": finding.number,
    }


def _found(here: Sequence[Row]) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            {
                "id": one.claim.id,
                "claim": one.claim.statement,
                "published": one.claim.published,
                "found": one.finding.number if one.finding else "",
                "verdict": one.finding.said if one.finding else f"{NOT_RUN}: {one.missing} trials are missing",
                "with the first seeds": f"{one.first.verdict}: {one.first.number}" if one.first else "",
                "page": f"[{one.experiment}]({one.report})" if one.report else one.experiment,
            }
            for one in here
        ]
    )
    return table if any(one.first for one in here) else table.drop(columns="with the first seeds")


def _checks(here: Sequence[Row]) -> pd.DataFrame:
    """How each is checked, for machines."""
    return pd.DataFrame(
        [
            {
                "id": one.claim.id,
                "source": one.claim.source,
                "setting": one.claim.setting,
                "how it is checked": one.claim.check,
                "corrected": one.claim.corrected or "",
                "run": one.finding.conditions if one.finding else "",
                "config": Path(one.config).name,
            }
            for one in here
        ]
    )


def _checked(here: Sequence[Row]) -> pd.DataFrame:
    """The same in as few columns as a page has room for."""
    return pd.DataFrame(
        [
            {
                "id": one.claim.id,
                "source": one.claim.source,
                "setting, rule, and what was run": " ".join(
                    [rule(one.claim), *([f"Run: {one.finding.conditions}."] if one.finding else [])]
                ),
                "config": _link(one.config),
            }
            for one in here
        ]
    )


def _gpu(elsewhere: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "id": one.claim.id,
                "claim": one.claim.statement,
                "source": one.claim.source,
                "published": one.claim.published,
                "how it is checked": rule(one.claim),
                "why": one.claim.why,
                "config": _link(one.config),
            }
            for one in elsewhere
        ]
    )


def _link(config: str) -> str:
    return f"[{Path(config).name}]({config})"
