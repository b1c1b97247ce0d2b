"""`make bench`: time all peers in one process on one core, then a sweep on all cores, and write `results/bench`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from benchmarks.speed import cells, page, peak, tables
from benchmarks.speed.points import Point, grid
from benchmarks.speed.sweep import answer, sweep
from benchmarks.speed.timing import interleaved
from rich.progress import track

from farback.kernels import buffer_pool

CHECKED = 3  # steps in which all peers must have equal losses
TOLERANCE = 1e-4  # in the loss, after three steps of float32


def sides(point: Point, jax: bool) -> dict[str, Any]:
    """Every peer at a point, with the same weights and the same batch.

    Raises:
        AssertionError: their losses differ.
    """
    from benchmarks.speed.ours import Ours
    from benchmarks.speed.torch_peer import Torch

    ours = Ours(point)
    found: dict[str, Any] = {"farback": ours, "torch": Torch(point, ours.network, ours.questions)}
    if jax:
        from benchmarks.speed.jax_peer import Jax

        found["jax"] = Jax(point, ours.network, ours.questions)
    losses = {name: np.array([side.step() for _ in range(CHECKED)]) for name, side in found.items()}
    for name, values in losses.items():
        apart = float(np.abs(values - losses["farback"]).max())
        assert apart < TOLERANCE, f"{name} and farback differ at {point} by {apart:.2g} in the loss"
    return found


def readings(points: list[Point], seconds: float, jax: bool) -> pd.DataFrame:
    """Seconds of one step of every peer: a row per point, round and peer."""
    rows = []
    for point in track(points, description="training steps"):
        peers = sides(point, jax)
        steps = {name: side.step for name, side in peers.items()}
        timed = interleaved(steps, seconds, {"farback": peers["farback"].block})
        buffer_pool.release()  # as at the end of a cohort
        for side, values in timed.items():
            rows += [
                (point.cell, point.H, point.T, point.B, point.R, point.flops, number, side, value)
                for number, value in enumerate(values)
            ]
    return pd.DataFrame(rows, columns=["cell", "H", "T", "B", "R", "flops", "round", "side", "seconds"])


def main(
    quick: Annotated[bool, typer.Option("--quick", help="a corner of the grid, one sweep: minutes")] = False,
    jax: Annotated[bool, typer.Option(help="time JAX too")] = True,
    seconds: Annotated[float, typer.Option(help="of readings at each point, with at least three rounds")] = 1.5,
    out: Annotated[Path, typer.Option(help="folder for the page")] = Path("results/bench"),
) -> None:
    """Time farback against its peers and write the page."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})  # one core for all peers
    best = peak.sgemm_peak()
    points = tables.ratios(readings(grid(quick), seconds, jax))
    out.mkdir(parents=True, exist_ok=True)
    points.to_csv(out / "steps.csv", index=False)  # keeps half an hour of readings if the rest fails
    kernels = cells.table(seconds)
    kernels.to_csv(out / "cells.csv", index=False)
    os.sched_setaffinity(0, cores)
    swept = sweep(1 if quick else 3)
    swept.to_csv(out / "sweep.csv", index=False)
    answered = answer()
    answered.to_csv(out / "answer.csv", index=False)
    needed = peak.worker_memory()
    written = page.write(points, kernels, swept, answered, needed, page.machine(best), best, out)
    print(written.analysis.headline)
    print("\n".join(written.analysis.verdict))
    print(written.report)


if __name__ == "__main__":
    typer.run(main)
