"""Networks trained with a curriculum of lags are never in one table with others."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from sweep_frames import sweep_frame

from farback import tables
from farback.cli.report import headline_tables
from farback.report import standard

BASE: dict[str, Any] = {"task": {"name": "recall"}, "cell": {"name": "gru"}, "measures": [{"name": "retention"}]}
LAGS = ["fixed", {"uniform": [12, 80]}, {"curriculum": [12, 80]}]


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return sweep_frame(BASE, {"train_lags": LAGS}, seeds=6)


def test_a_page_has_a_table_and_figures_for_each_protocol(scores: pd.DataFrame) -> None:
    analysis = standard(scores)
    names = [part.name for part in analysis.parts]
    for name in ("trainability", "retention_horizons", "retention", "curriculum_horizons", "curriculum"):
        assert names.count(name) == 1
    assert "after a curriculum of lags, tested at every lag, retains" in analysis.headline
    printed = ["trainability", "retention_horizons", "curriculum_horizons"]
    assert [table.name for table in headline_tables(analysis)] == printed
    assert {name.split("/")[1] for name in analysis.metrics} == {"trainability", "retention", "curriculum"}


@pytest.mark.parametrize("by", [["label"], ["label", "train_lags"]], ids=str)
@pytest.mark.parametrize("table", ["retention_horizons", "retention_curves", "seed_horizons", "last_evaluations"])
def test_a_table_of_curricula_and_others_is_refused(table: str, by: list[str], scores: pd.DataFrame) -> None:
    mixed = scores[scores["train_lags"] != "fixed"]
    with pytest.raises(ValueError, match=r"a table of their own; train_lags: curriculum 12-80, uniform 12-80"):
        getattr(tables, table)(mixed, by)
    assert len(getattr(tables, table)(mixed[tables.of_curriculum(mixed)], by))


@pytest.mark.parametrize("table", ["skills", "ranking", "improvements", "learning_curves"])
def test_a_ranking_and_learning_curves_of_curricula_and_others_are_refused(table: str, scores: pd.DataFrame) -> None:
    beside = scores[~scores["train_lags"].str.startswith("uniform")]
    with pytest.raises(ValueError, match=r"a table of their own; train_lags: curriculum 12-80, fixed"):
        getattr(tables, table)(beside)


def test_the_horizon_of_a_curriculum_alone_is_that_of_its_own_scores(scores: pd.DataFrame) -> None:
    own = scores[tables.of_curriculum(scores)]
    parts = {part.name: part for part in standard(own).parts}
    pd.testing.assert_frame_equal(parts["curriculum_horizons"].frame, tables.retention_horizons(own))
    assert "retention_horizons" not in parts
