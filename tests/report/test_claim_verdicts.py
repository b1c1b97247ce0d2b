"""Findings answer exactly what is claimed, and the ledger's page counts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from farback.records.claim import Claim
from farback.records.record import UserError
from farback.report import Finding
from farback.report.claims_page import Earlier, Row, ledger, write_ledger
from farback.report.verdicts import claims_table, judged


def claim(name: str, **fields: Any) -> Claim:
    return Claim(
        id=name, statement=f"Claim {name}.", source="S", setting="T.", published="4 steps", check="C.", **fields
    )


def finding(verdict: Any = "confirmed", on: str = "") -> Finding:
    return Finding("5 of 5 (0.57 to 1)", 1.0, 0.57, 1.0, "share of seeds", verdict, on, "5 seeds, 4 updates")


def script(answers: dict[str, Finding] | None) -> ModuleType:
    module = ModuleType("made_up")
    if answers is not None:
        module.findings = lambda scores: answers  # type: ignore[attr-defined]
    return module


GPU = claim("big", needs="gpu", why="it is big")


def test_every_claim_gets_its_finding_and_what_needs_a_gpu_may_do_without() -> None:
    found = judged(script({"b": finding(), "a": finding("refuted")}), [claim("a"), claim("b")], pd.DataFrame(), "x")
    assert list(found) == ["a", "b"]
    assert judged(script(None), [GPU], pd.DataFrame(), "x") == {}
    assert list(judged(script({"big": finding()}), [GPU], pd.DataFrame(), "x")) == ["big"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (None, "x claims a, b: its script needs a function findings"),
        ({"a": finding()}, "findings\\(\\) of x leaves out b"),
        ({"a": finding(), "b": finding(), "bb": finding()}, "answers 'bb', which its config does not claim"),
    ],
)
def test_a_claim_left_out_or_made_up_is_an_error(answers: dict[str, Finding] | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        judged(script(answers), [claim("a"), claim("b")], pd.DataFrame(), "x")


@pytest.mark.parametrize(("verdict", "on"), [("maybe", ""), ("depends", ""), ("confirmed", "the weather")])
def test_a_verdict_is_one_of_three_and_only_one_depends(verdict: str, on: str) -> None:
    with pytest.raises(ValueError, match="depends"):
        finding(verdict, on)


def test_an_experiments_table_says_why_there_is_no_verdict() -> None:
    table = claims_table([claim("a"), claim("b")], {"a": finding("depends", "the start")}, "not run yet")
    assert table.shown["verdict"].tolist() == ["depends on the start", "not run yet"]
    assert table.frame["value"].tolist()[0] == 1.0
    assert pd.isna(table.frame["value"].tolist()[1])


ROWS = [
    Row(claim("a"), "one", "../../configs/one.yaml", "../one/report.md", finding(), 0),
    Row(claim("b"), "one", "../../configs/one.yaml", "../one/report.md", finding("refuted"), 0),
    Row(claim("c"), "two", "../../configs/two.yaml", "../two/report.md", finding("depends", "the start"), 0),
    Row(claim("d"), "three", "../../configs/claims/three.yaml", "", None, 7),
    Row(GPU, "four", "../../configs/claims/four.yaml", "", None, 3),
]


def test_the_headline_counts_the_rows_of_every_kind() -> None:
    said = "3 rows run: 1 confirmed, 1 refuted, 1 depends; "
    assert ledger(ROWS).headline.startswith(f"{said}1 need a GPU; 1 not run yet. A verdict is about")
    assert ledger(ROWS[:3]).headline.startswith(f"{said}0 need a GPU. A verdict is about")


def test_a_repetition_says_how_often_it_came_out_as_before(tmp_path: Path) -> None:
    again = [replace(ROWS[0], first=Earlier("confirmed", "4 of 5")), replace(ROWS[1], first=Earlier("depends", "3"))]
    page = write_ledger([*again, *ROWS[2:]], tmp_path, " --shift-seeds 100")
    assert page.analysis.headline.endswith("1 of 2 verdicts are those of the first seeds.")
    assert "| with the first seeds |" in page.report.read_text()
    assert "confirmed: 4 of 5" in page.report.read_text()
    table = pd.read_csv(tmp_path / "claims.csv", keep_default_na=False)
    assert table["first_verdict"].tolist() == ["confirmed", "depends", "", ""]


def test_the_page_holds_every_row_and_what_needs_a_gpu_apart(tmp_path: Path) -> None:
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


def test_the_lead_has_the_claims_with_a_place_and_counts_the_others() -> None:
    first = replace(ROWS[2], claim=claim("c", place=1))
    lines = ledger([first, ROWS[0], ROWS[1]]).verdict
    assert lines[0] == "**Depends**: Claim c. Found: 5 of 5 (0.57 to 1). It depends on the start."
    assert lines[1] == "The other 2 are in the table below: 1 confirmed, 1 refuted, 0 depends."


def test_a_rule_that_was_corrected_after_the_run_says_so(tmp_path: Path) -> None:
    mended = replace(ROWS[0], claim=claim("a", corrected="It asked\nfor too much."))
    page = write_ledger([mended, ROWS[1]], tmp_path / "claims")
    assert "C. **Corrected after the run:** It asked for too much. Run: 5 seeds" in page.report.read_text()
    checks = pd.read_csv(tmp_path / "claims" / "checks.csv", keep_default_na=False)
    assert checks["corrected"].tolist() == ["It asked for too much.", ""]


def test_a_row_can_be_linked_and_leads_to_how_it_was_checked(tmp_path: Path) -> None:
    text = write_ledger(ROWS, tmp_path / "claims").html.read_text()
    for name in ("a", "b", "c", "d"):
        assert text.count(f'id="claims-{name}"') == text.count(f'id="checks-{name}"') == 1
        assert f'<a href="#checks-{name}">{name}</a>' in text
        assert f'<a href="#claims-{name}">{name}</a>' in text


def test_a_page_of_which_nothing_was_run_is_a_page(tmp_path: Path) -> None:
    page = write_ledger(ROWS[3:], tmp_path)
    assert "No claim was run yet." in page.report.read_text()
