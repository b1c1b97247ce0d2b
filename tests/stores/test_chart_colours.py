"""Colours of groups in MLflow's charts."""

from __future__ import annotations

from itertools import combinations

import pytest

from farback.stores.chart_colours import APART, PALETTE, colour, group_id, told_apart

LABELS = [
    f"{cell}{init}"
    for cell, init in (
        ("GRU", ""),
        ("GRU", ", chrono"),
        ("LSTM", ""),
        ("LSTM", ", chrono"),
        ("RNN relu", ""),
        ("RNN relu", ", identity"),
        ("RNN tanh", ""),
        ("RNN tanh", ", orthogonal"),
    )
]


def test_the_colour_is_the_one_that_mlflow_computes() -> None:
    # 97 for "a": both sums are 97, (97 | 97 << 8) = 24929, and 24929 = 859 * 29 + 18
    assert colour("a") == PALETTE[18] == "277c43"
    # "ab": sums 97 + 98 = 195 and 97 + 195 = 292 = 37 (mod 255); (195 | 37 << 8) = 9667 = 333 * 29 + 10
    assert colour("ab") == PALETTE[10] == "445461"


def distance(a: str, b: str) -> float:
    (red, green, blue), others = ([int(each[at : at + 2], 16) for at in (0, 2, 4)] for each in (a, b))
    return float(((red - others[0]) ** 2 + (green - others[1]) ** 2 + (blue - others[2]) ** 2) ** 0.5)


@pytest.mark.parametrize("count", [2, 4, 6])
def test_groups_get_colours_that_can_be_told_apart(count: int) -> None:
    runs = [
        {"cell": label, "lag": "5", "batch": "32", "hidden": "32", "steps": "1000", "depth": "1", "clip": "1.0"}
        | {f"task.{name}": "7" for name in ("symbols", "filler", "noise", "repeats", "width")}
        for label in LABELS[:count]
    ]
    by = told_apart(("cell",), runs)
    assert "cell" in by
    found = [colour(group_id(by, each)) for each in runs]
    assert min(distance(a, b) for a, b in combinations(found, 2)) >= (APART if count < 6 else 30)


def test_the_groups_stay_the_same() -> None:
    runs = [{"cell": label, "lag": lag, "batch": "32"} for label in LABELS[:4] for lag in ("5", "10")]
    by = told_apart(("cell", "lag"), runs)
    assert len({group_id(by, each) for each in runs}) == 8
    assert set(by) <= {"cell", "lag", "batch"}


def test_one_group_needs_nothing_more() -> None:
    assert told_apart(("cell",), [{"cell": "GRU", "batch": "32"}]) == ("cell",)
