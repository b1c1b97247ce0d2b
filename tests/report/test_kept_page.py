"""A page is made again exactly when something that it depends on has changed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from farback.experiment import Experiment, Sweep
from farback.report import kept_page, page
from farback.report.page import Page
from farback.runs.sweep_page import publish, subject
from farback.stores.memory import Memory
from farback.trials.events import Finished, TrialResult, scores

CONFIG = """
name: kept
question: Is it made again?
base: {task: recall, hidden: 2, batch: 2, steps: 1, lag: 1}
sweep:
  - cell: [elman, memoryless]
"""
SCRIPT = """
from farback.report import Analysis, Table
def analyse(scores, ladder):
    table = scores.groupby("label", as_index=False)["value"].mean()
    return Analysis(f"{len(table)} cells.", ["One."], [Table("means", "Means.", table, table.round(3))],
                    {"cells/all": len(table), "cells/mean": float(table["value"].mean())}, {"cells/bound": "none"})
"""


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Sweep, Memory]:
    for name, text in {"configs/kept.yaml": CONFIG, "experiments/kept.py": SCRIPT}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    sweep, store = Experiment.load(tmp_path / "configs" / "kept.yaml"), Memory()
    assert isinstance(sweep, Sweep)
    with store.begin(sweep.name, sweep.trials()) as recorder:
        for index, trial in enumerate(sweep.trials()):
            table = scores([("test", 1, 1, "accuracy", 0.1 + index)])
            recorder.put(Finished(TrialResult(trial.key, table, "finished", {})))
    return sweep, store


def made(sweep: Sweep, store: Memory, monkeypatch: pytest.MonkeyPatch) -> tuple[Page, bool]:
    """The page as a finished run gets it, and whether its script was run again."""
    runs = []
    with monkeypatch.context() as patch:
        original = page.experiment_module
        patch.setattr(page, "experiment_module", lambda path: runs.append(path) or original(path))
        return publish(sweep, store, keep=True), bool(runs)


def test_an_unchanged_page_is_kept_and_says_the_same(
    recorded: tuple[Sweep, Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, new), summary = made(*recorded, monkeypatch), recorded[1].experiments["kept"].summary
    times = {path: path.stat().st_mtime_ns for path in first.files}
    again, remade = made(*recorded, monkeypatch)
    assert new
    assert not remade
    assert {path: path.stat().st_mtime_ns for path in again.files} == times
    assert (again.files, again.report, again.html, again.note) == (first.files, first.report, first.html, first.note)
    for name in ("headline", "verdict", "metrics", "tags"):
        assert json.dumps(getattr(again.analysis, name)) == json.dumps(getattr(first.analysis, name))
    (table,), (other,) = again.analysis.tables, first.analysis.tables
    assert table.shown.values.tolist() == other.shown.astype(str).values.tolist()
    assert recorded[1].experiments["kept"].summary == summary  # so that the store need not be written


def edited(path: str) -> Callable[[Sweep], Sweep]:
    def change(sweep: Sweep) -> Sweep:
        with (sweep.root / path).open("a") as file:
            file.write("\n# changed\n")
        return sweep

    return change


def removed(sweep: Sweep) -> Sweep:
    (sweep.root / "results" / "index.html").unlink()
    return sweep


def damaged(sweep: Sweep) -> Sweep:
    (sweep.root / "results" / "store" / "pages" / "kept.json").write_text("{")
    return sweep


CHANGES = {
    "the script": edited("experiments/kept.py"),
    "a table on disk": edited("results/kept/means.csv"),
    "the index": removed,
    "the record": damaged,
    "the question": lambda sweep: replace(sweep, question="Another?"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_page_is_made_again_after_a_change(
    change: str, recorded: tuple[Sweep, Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, store = recorded
    made(sweep, store, monkeypatch)
    changed = CHANGES[change](sweep)
    assert made(changed, store, monkeypatch)[1]
    assert not made(changed, store, monkeypatch)[1]


def test_scores_and_sources_decide(recorded: tuple[Sweep, Memory], monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, store = recorded
    frame = store.frame(sweep.name)
    about = subject(sweep, store, frame)
    before = kept_page.digest(about, frame)
    assert kept_page.digest(about, frame.copy()) == before
    other = frame.assign(value=frame["value"] + [0, 1e-15])
    assert (other["value"] != frame["value"]).any()
    assert kept_page.digest(about, other) != before
    monkeypatch.setattr(kept_page, "source_digest", lambda: "edited")
    assert kept_page.digest(about, frame) != before


def test_without_keep_a_page_is_always_made_again(
    recorded: tuple[Sweep, Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = made(*recorded, monkeypatch)
    before = first.report.stat().st_mtime_ns
    assert publish(*recorded).report.stat().st_mtime_ns > before
