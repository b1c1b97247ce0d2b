"""Findings answer exactly the claims of a config, and the page of claims counts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from farback.records.claim import Claim
from farback.records.user_error import UserError
from farback.report import Finding
from farback.report.claim_verdicts import claims_table, judged
from farback.report.claims_page import ClaimRow, FirstVerdict, ledger, write_ledger


def claim(name: str, **fields: Any) -> Claim:
    return Claim(
        id=name, statement=f"Claim {name}.", source="S", setting="T.", published="4 steps", check="C.", **fields
    )


def finding(verdict: Any = "confirmed", on: str = "", reason: str = "") -> Finding:
    return Finding("5 of 5 (0.57 to 1)", 1.0, 0.57, 1.0, "share of seeds", verdict, on, "5 seeds, 4 updates", reason)


def script(answers: dict[str, Finding] | None) -> ModuleType:
    module = ModuleType("made_up")
    if answers is not None:
        module.findings = lambda scores: answers  # type: ignore[attr-defined]
    return module


GPU = claim("big", needs="gpu", why="it is big")


def test_every_claim_gets_its_finding_except_those_that_need_a_gpu() -> None:
    found = judged(script({"b": finding(), "a": finding("refuted")}), [claim("a"), claim("b")], pd.DataFrame(), "x")
    assert list(found) == ["a", "b"]
    assert judged(script(None), [GPU], pd.DataFrame(), "x") == {}
    assert list(judged(script({"big": finding()}), [GPU], pd.DataFrame(), "x")) == ["big"]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (None, "the config of x has the claims a, b: its script needs a function findings"),
        ({"a": finding()}, "findings\\(\\) of x returns no answer for b"),
        (
            {"a": finding(), "b": finding(), "bb": finding()},
            "returns an answer for .bb., which is not a claim of its config",
        ),
    ],
)
def test_a_missing_or_an_extra_finding_is_an_error(answers: dict[str, Finding] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        judged(script(answers), [claim("a"), claim("b")], pd.DataFrame(), "x")


@pytest.mark.parametrize(
    ("verdict", "on", "reason"),
    [
        *(("maybe", "", ""), ("depends", "", ""), ("confirmed", "the weather", ""), ("inconclusive", "", "")),
        *(("inconclusive", "the weather", "few seeds"), ("confirmed", "", "few seeds")),
    ],
)
def test_only_depends_names_a_condition_and_only_inconclusive_a_reason(verdict: str, on: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"depends|inconclusive"):
        finding(verdict, on, reason)


def test_a_claim_without_a_finding_has_the_reason_as_its_verdict() -> None:
    answers = {"a": finding("depends", "the start"), "c": finding("inconclusive", reason="few seeds")}
    table = claims_table([claim("a"), claim("b"), claim("c")], answers, "not run yet")
    assert table.shown["verdict"].tolist() == ["depends on the start", "not run yet", "inconclusive: few seeds"]
    assert table.frame["reason"].fillna("-").tolist() == ["", "-", "few seeds"]
    assert table.frame["value"].tolist()[0] == 1.0
    assert pd.isna(table.frame["value"].tolist()[1])


ROWS = [
    ClaimRow(claim("a"), "one", "../../configs/one.yaml", "../one/report.md", finding(), 0),
    ClaimRow(claim("b"), "one", "../../configs/one.yaml", "../one/report.md", finding("refuted"), 0),
    ClaimRow(claim("c"), "two", "../../configs/two.yaml", "../two/report.md", finding("depends", "the start"), 0),
    ClaimRow(claim("d"), "three", "../../configs/claims/three.yaml", "", None, 7),
    ClaimRow(GPU, "four", "../../configs/claims/four.yaml", "", None, 3),
]


def test_the_headline_counts_the_rows_of_every_kind() -> None:
    counts = "3 rows run: 1 confirmed, 1 refuted, 1 depends, 0 inconclusive; "
    assert ledger(ROWS).headline.startswith(f"{counts}1 need a GPU; 1 not run yet. A verdict is about")
    assert ledger(ROWS[:3]).headline.startswith(f"{counts}0 need a GPU. A verdict is about")


def test_a_repetition_counts_equal_verdicts(tmp_path: Path) -> None:
    again = [
        replace(ROWS[0], first=FirstVerdict("confirmed", "4 of 5")),
        replace(ROWS[1], first=FirstVerdict("depends", "3")),
    ]
    page = write_ledger([*again, *ROWS[2:]], tmp_path, " --shift-seeds 100")
    assert page.analysis.headline.endswith("1 of 2 verdicts are the same as with the first seeds.")
    assert "| with the first seeds |" in page.report.read_text()
    assert "confirmed: 4 of 5" in page.report.read_text()
    table = pd.read_csv(tmp_path / "claims.csv", keep_default_na=False)
    assert table["first_verdict"].tolist() == ["confirmed", "depends", "", ""]


def test_the_page_has_every_row_and_a_separate_table_for_a_gpu(tmp_path: Path) -> None:
    page = write_ledger(ROWS, tmp_path / "claims")
    text = page.report.read_text()
    names = {path.name for path in page.files}
    assert names == {
        "report.md",
        "report.html",
        "claims.csv",
        "verdicts.csv",
        "verdicts.png",
        "verdicts.svg",
        "checks.csv",
        "gpu.csv",
    }
    table = pd.read_csv(tmp_path / "claims" / "claims.csv")
    assert table["id"].tolist() == ["a", "b", "c", "d"]
    assert {"statement", "source", "setting", "published", "check", "number", "low", "high", "verdict", "on"} <= set(
        table
    )
    assert "[one](../one/report.md)" in text
    assert "[three.yaml](../../configs/claims/three.yaml)" in text
    assert "not run yet: 7 trials are missing" in text
    assert "it is big" in text
    assert "depends on the start" in text
    again = write_ledger(ROWS, tmp_path / "again")
    for path in page.files:
        assert path.read_bytes() == (again.report.parent / path.name).read_bytes()


def test_the_verdict_lists_claims_with_a_place_and_counts_the_others() -> None:
    first = replace(ROWS[2], claim=claim("c", place=1))
    lines = ledger([first, ROWS[0], ROWS[1]]).verdict
    assert lines[0] == "**Depends**: Claim c. Found: 5 of 5 (0.57 to 1). It depends on the start."
    assert lines[1] == "The other 2 are in the table below: 1 confirmed, 1 refuted, 0 depends, 0 inconclusive."
    undecided = replace(ROWS[2], claim=claim("c", place=1), finding=finding("inconclusive", reason="few seeds"))
    assert ledger([undecided]).verdict[0] == "**Inconclusive**: Claim c. Found: 5 of 5 (0.57 to 1). Why: few seeds."


def test_the_page_shows_a_correction_after_the_run(tmp_path: Path) -> None:
    corrected = replace(ROWS[0], claim=claim("a", corrected="It asked\nfor too much."))
    page = write_ledger([corrected, ROWS[1]], tmp_path / "claims")
    assert "C. **Corrected after the run:** It asked for too much. Run: 5 seeds" in page.report.read_text()
    checks = pd.read_csv(tmp_path / "claims" / "checks.csv", keep_default_na=False)
    assert checks["corrected"].tolist() == ["It asked for too much.", ""]


def test_the_two_tables_link_to_each_other(tmp_path: Path) -> None:
    text = write_ledger(ROWS, tmp_path / "claims").html.read_text()
    for name in ("a", "b", "c", "d"):
        assert text.count(f'id="claims-{name}"') == text.count(f'id="checks-{name}"') == 1
        assert f'<a href="#checks-{name}">{name}</a>' in text
        assert f'<a href="#claims-{name}">{name}</a>' in text


def test_a_page_without_findings_can_be_written(tmp_path: Path) -> None:
    page = write_ledger(ROWS[3:], tmp_path)
    assert "No claim was run yet." in page.report.read_text()
