"""`farback search --dry-run` says what is left to do, and makes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_search import SMALL, Small
from typer.testing import CliRunner

import farback
from farback.cli import app
from farback.executors import Serial
from farback.records.user_error import UserError
from farback.runs.search.expected import expected
from farback.stores.memory import Memory


def planned(*arguments: str) -> dict[str, float]:
    result = CliRunner().invoke(app, ["search", "small", "--dry-run", "--workers", "1", "--json", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_a_dry_run_of_a_search_counts_and_makes_nothing(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """2 groups of 4 settings with 2 seeds; on 2 fresh seeds, the best of each group and the default of neither.

    The default hidden size, 32, is not in the space.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    small()
    shutil.rmtree(tmp_path / "results")
    before = sorted(tmp_path.rglob("*"))
    document = planned()
    assert document["trials"] == 2 * 4
    assert document["done"] == 0
    assert document["fresh"] == 2 * 2
    assert document["to_train"] == 2 * 4 * 2 + 2 * 2
    assert 0 < document["seconds"] <= document["seconds_at_most"]
    assert planned("--trials", "9")["to_train"] == 2 * 9 * 2 + 2 * 2
    assert planned("--set", "base.hidden=4", "--set", "optimizer.lr=0.01")["trials"] == 8
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_counts_what_is_left(small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    search, store = small(text=SMALL.replace("trials: 4", "trials: 2")), Memory()
    farback.search(search, workers=1, store=store, progress=False)
    scores = store.frame("small")
    with Serial() as serial:
        done = expected(search, scores, serial, "cpu")
        assert (done.total, done.done, done.trainings, done.seconds) == (4, 4, 0, 0.0)
        more = expected(search, scores, serial, "cpu", trials=3)
        assert (more.total, more.done) == (6, 4)
        assert more.trainings == 2 * 2 + more.reported
        again = expected(search, scores, serial, "cpu", restart=True)
        assert (again.total, again.done) == (4, 0)
        other = small(
            "optimizer.lr=0.5",
            text=SMALL.replace("trials: 4", "trials: 2").replace("clip: [1.0, null]", "clip: [2.0, null]"),
        )
        assert expected(other, scores, serial, "cpu").done == 0  # with --set, the study has another name
        changed = small(text=SMALL.replace("clip: [1.0, null]", "clip: [2.0, null]"))
        with pytest.raises(UserError, match="made with another space: rename the config, or start over with --restart"):
            expected(changed, scores, serial, "cpu")
