"""Turn readings into ratios, means, growth exponents and the numbers of the summary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from farback.report.group_columns import rows_with

AXES = {"H": "hidden units", "T": "time steps", "B": "batch", "R": "trials"}
PEERS = {"torch": "torch.nn", "jax": "JAX"}
TARGETS = {
    "rnn_vs_torch": 6.5,
    "gru_vs_torch": 5.5,
    "lstm_vs_torch": 2.5,
    "worst_vs_jax": 3.5,
    "worst_point": 1.3,
    "rnn_small": 12.0,
    "gru_small": 12.0,
    "rnn_share": 0.75,
    "gru_share": 0.7,
    "peak_share": 0.6,
    "worst_cell": 5.0,
    "sweep": 6.0,
    "answer": 40.0,
}
MEANINGS = {
    "rnn_vs_torch": "RNN step, against `torch.nn`: geometric mean over the grid",
    "gru_vs_torch": "GRU step, against `torch.nn`: geometric mean over the grid",
    "lstm_vs_torch": "LSTM step, against `torch.nn`: geometric mean over the grid",
    "worst_vs_jax": "the slowest cell against JAX: geometric mean over the grid",
    "worst_point": "the slowest point of the grid against `torch.nn`",
    "rnn_small": "RNN step at H = 32, T = 20, batch 32, one network, against `torch.nn`",
    "gru_small": "GRU step at H = 32, T = 20, batch 32, one network, against `torch.nn`",
    "rnn_share": "share of the SGEMM peak, RNN at H = 32, T = 100, batch 32, 8 networks",
    "gru_share": "share of the SGEMM peak, GRU at H = 32, T = 100, batch 32, 8 networks",
    "peak_share": "share of the SGEMM peak at H = 128, batch 128: geometric mean over cells, lengths, cohorts",
    "worst_cell": "the slowest cell's kernel, against the same cell step by step",
    "sweep": "a sweep of 48 networks on all cores, against a script",
    "answer": "time until the horizons of eight networks are known, against a script's grid of octaves with 10 seeds",
}
SMALL, PACKED = {"H": 32, "T": 20, "B": 32, "R": 1}, {"H": 32, "T": 100, "B": 32, "R": 8}


def ratios(readings: pd.DataFrame) -> pd.DataFrame:
    """How many times as long the peers took, from paired readings.

    Args:
        readings: cell, H, T, B, R, flops, round, side, seconds.

    Returns:
        A row per point: milliseconds of each side (medians), GFLOP/s of farback's, and of each peer's ratio the
        median, the quartiles `_low` and `_high`.
    """
    rows = []
    for place, group in readings.groupby(["cell", *AXES], sort=False):
        wide = group.pivot(index="round", columns="side", values="seconds")
        row: dict[str, Any] = dict(zip(["cell", *AXES], place, strict=True))
        row |= {f"{side}_ms": float(wide[side].median() * 1e3) for side in wide}
        row["gflops"] = float(group["flops"].iloc[0]) / float(wide["farback"].median()) / 1e9
        for peer in PEERS:
            if peer in wide:
                low, middle, high = (wide[peer] / wide["farback"]).quantile([0.25, 0.5, 0.75])
                row |= {peer: middle, f"{peer}_low": low, f"{peer}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def means(points: pd.DataFrame) -> pd.DataFrame:
    """Geometric means of the ratios over the grid, and the extremes: a row per cell and peer."""
    rows = []
    for cell, group in points.groupby("cell", sort=False):
        for peer, name in PEERS.items():
            if peer in group:
                values = group[peer].to_numpy()
                rows.append((cell, name, _geometric(values), values.min(), values.max(), len(values)))
    return pd.DataFrame(rows, columns=["cell", "against", "mean", "least", "most", "points"])


def exponents(points: pd.DataFrame) -> pd.DataFrame:
    """How the cost of a step grows: exponents of a power law in the axes of the grid, by least squares of logs.

    Returns:
        A row per cell and side; an exponent of 1 is linear, and below 1 a larger one costs less for each part.
    """
    rows = []
    varied = [axis for axis in AXES if points[axis].min() < points[axis].max()]
    logs = np.column_stack([np.ones(len(points)), *(np.log(points[axis]) for axis in varied)])
    for cell in points["cell"].unique():
        chosen = (points["cell"] == cell).to_numpy()
        for side in ("farback", *PEERS):
            if f"{side}_ms" in points:
                fitted, *_ = np.linalg.lstsq(logs[chosen], np.log(points.loc[chosen, f"{side}_ms"]), rcond=None)
                rows.append((cell, PEERS.get(side, side), *fitted[1:]))
    return pd.DataFrame(rows, columns=["cell", "side", *(AXES[axis] for axis in varied)])


def headline(
    points: pd.DataFrame, kernels: pd.DataFrame, swept: pd.DataFrame, answered: pd.DataFrame, peak: float
) -> dict[str, float]:
    """The numbers of the summary that these readings give, in the order of `TARGETS`.

    Args:
        points: from `ratios`.
        kernels: from `cells.table`.
        swept: from `sweep.sweep`.
        answered: from `sweep.answer`.
        peak: of SGEMM, in GFLOP/s.
    """
    table = means(points)
    by = table.set_index(["cell", "against"])["mean"]
    numbers = {f"{cell.lower()}_vs_torch": float(by[cell, "torch.nn"]) for cell in points["cell"].unique()}
    if "jax" in points:
        numbers["worst_vs_jax"] = float(table.loc[table["against"] == "JAX", "mean"].min())
    numbers["worst_point"] = float(points["torch"].min())
    for cell in ("RNN", "GRU"):
        for row in rows_with(points, {"cell": cell, **SMALL}).to_dict("records"):
            numbers[f"{cell.lower()}_small"] = float(row["torch"])
        for row in rows_with(points, {"cell": cell, **PACKED}).to_dict("records"):
            numbers[f"{cell.lower()}_share"] = float(row["gflops"]) / peak
    large = points[(points["H"] == 128) & (points["B"] == 128)]
    if len(large):
        numbers["peak_share"] = _geometric(large["gflops"].to_numpy() / peak)
    numbers["worst_cell"] = float(kernels["ratio"].min())
    for name, timed in (("sweep", swept), ("answer", answered)):
        wide = timed.pivot(index="round", columns="side", values="seconds")
        numbers[name] = float((wide["script"] / wide["farback"]).median())
    return {name: numbers[name] for name in TARGETS if name in numbers}


def _geometric(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean()))
