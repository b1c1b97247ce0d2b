"""`make bench` ends with a page: its tables, its figure and the numbers that it is judged by."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from benchmarks.speed import page, tables
from benchmarks.speed.points import grid

PEAK = 100.0


def test_the_page_has_every_number_that_is_asked(tmp_path: Path) -> None:
    rows = [
        (point.cell, point.H, point.T, point.B, point.R, point.flops, turn, side, seconds)
        for point in grid()
        for turn in range(3)
        for side, seconds in (("farback", 0.5), ("torch", 2.0), ("jax", 1.0))
    ]
    readings = pd.DataFrame(rows, columns=["cell", "H", "T", "B", "R", "flops", "round", "side", "seconds"])
    kernels = pd.DataFrame(
        [("LRU", 1.0, 8.0, 8.0), ("CfC", 1.0, 4.0, 4.0)], columns=["cell", "fused", "stepped", "ratio"]
    )
    timed = pd.DataFrame([(0, "farback", 2.0), (0, "script", 14.0)], columns=["round", "side", "seconds"])
    points = tables.ratios(readings)
    numbers = tables.headline(points, kernels, timed, timed, PEAK)
    packed = points[(points["H"] == 32) & (points["T"] == 100) & (points["B"] == 32) & (points["R"] == 8)]
    flops = packed.set_index("cell")["gflops"]
    assert list(numbers) == list(tables.TARGETS)
    assert [numbers["rnn_vs_torch"], numbers["gru_small"]] == pytest.approx([4.0, 4.0])
    assert numbers["worst_vs_jax"] == pytest.approx(2.0)
    assert numbers["rnn_share"] == pytest.approx(flops["RNN"] / PEAK)
    assert (numbers["worst_cell"], numbers["sweep"]) == (4.0, 7.0)
    written = page.write(points, kernels, timed, timed, 700.0, {"cpu": "one"}, PEAK, tmp_path)
    assert len(written.analysis.verdict) == len(tables.TARGETS) + 1
    assert json.loads((tmp_path / "summary.json").read_text())["answer"] == 7.0
    assert pd.read_csv(tmp_path / "cells.csv")["reached"].tolist() == [True, False]
    assert (tmp_path / "ratios.png").stat().st_size > 0
