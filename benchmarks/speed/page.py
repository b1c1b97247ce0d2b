"""Write `results/bench`: the page, the tables, the figure, and the numbers of the summary as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from benchmarks.speed import cells, figure, sweep, tables

from farback.report.analysis import Analysis, Figure, Table, three
from farback.report.page import Page, publish
from farback.system import provenance

NOTES = [
    "Run it again, on a quiet machine: `make bench` (about half an hour)",
    "All peers run in one process with one thread on one core. They take turns of at least a tenth of a second; if a "
    "turn has several steps, the first is not counted, because in training the caches hold data of the last update. A "
    "ratio is the median over rounds of paired readings, and its spread is the quartiles. Before the timing, three "
    "steps of every peer, from the same weights and on the same batch, must give the same losses.",
    "A step is forward, loss, backward, clipping and Adam of every network of the cohort. `torch.nn` is a loop over "
    "modules, JAX is `jit(vmap(...))` with `scan`; drawing data is not included. The sweep compares two commands, each "
    "a new process on all cores that draws data and evaluates; farback's also records every curve in MLflow.",
    "The time to the answer is that of `benchmarks/speed/answer.yaml`, whose lags and seeds are chosen until the "
    f"standard deviation of each horizon is 0.3 octaves, against lags of {sweep.GRID[0]} to {sweep.GRID[-1]} in "
    f"octaves with {sweep.ASKED} seeds in the script. The script trains {sweep.TIMED} of the seeds and one of the two "
    "initialisations, and its time is multiplied, because all of its trainings have the same number of updates.",
    f"The table of cells times the forward and backward pass of one layer of one network (H = {cells.HIDDEN}, "
    f"T = {cells.STEPS}, batch {cells.BATCH}) with its kernel, and one step after the other in PyTorch. They "
    "take turns in one process, after a check that both give the same gradients; the ratio is the median over rounds "
    "of paired readings.",
]

WORDS = {
    "H": "hidden units",
    "T": "time steps",
    "B": "batch",
    "R": "networks",
    "farback_ms": "farback, ms",
    "jax_ms": "JAX, ms",
    "torch_ms": "torch.nn, ms",
    "gflops": "farback, GFLOP/s",
    "torch": "torch.nn / farback",
    "jax": "JAX / farback",
    "share": "share of SGEMM peak",
    "fused": "kernel, ms",
    "stepped": "step by step, ms",
    "ratio": "step by step / kernel",
    "reached": f"at least {tables.TARGETS['worst_cell']:g}",
}


def machine(peak: float) -> dict[str, str]:
    """The machine and the versions, on which the numbers depend."""
    kind = {name: provenance.machine()[name] for name in ("cpu", "cpu_capability")}
    return {**kind, "sgemm_peak_gflops": f"{peak:.1f}", **provenance.versions(), "jax": _version("jax")}


def write(
    points: pd.DataFrame,
    kernels: pd.DataFrame,
    swept: pd.DataFrame,
    answered: pd.DataFrame,
    memory: float,
    about: Mapping[str, str],
    peak: float,
    folder: Path,
) -> Page:
    """Write the page, its tables and its figure.

    Args:
        points: from `tables.ratios`.
        kernels: from `cells.table`.
        swept: from `sweep.sweep`.
        answered: from `sweep.answer`.
        memory: the largest memory of a worker, in MB.
        about: machine and versions.
        peak: of SGEMM, in GFLOP/s.
        folder: for all files.
    """
    numbers = tables.headline(points, kernels, swept, answered, peak)
    points = points.assign(share=points["gflops"] / peak)
    kernels = kernels.assign(reached=kernels["ratio"] >= tables.TARGETS["worst_cell"])
    reached = pd.DataFrame(
        [
            (tables.MEANINGS[name], tables.TARGETS[name], value, value >= tables.TARGETS[name])
            for name, value in numbers.items()
        ],
        columns=["measured", "aim", "ratio", "reached"],
    )
    growth, mean = tables.exponents(points), tables.means(points)
    parts: list[Table | Figure] = [
        Table("summary", "Targets", reached, _texts(reached)),
        Figure(
            "ratios",
            "One training step",
            figure.drawn(points),
            points,
            "How many times as long a training step takes in torch.nn and in JAX, for three cells, by hidden units.",
        ),
        Table("means", "Geometric means over the grid", mean, _texts(mean)),
        Table("steps", "Every point", points, _texts(_short(points))),
        Table("cells", "Every cell: its kernel, and the same cell step by step", kernels, _texts(_short(kernels))),
        Table("growth", "How the cost of a step grows: exponents of a power law", growth, _texts(growth)),
    ]
    parts += [
        Table("sweep", "A sweep of 48 networks, in seconds", swept, _texts(swept)),
        Table("answer", "Until the horizons of eight networks are known, in seconds", answered, _texts(answered)),
    ]
    headline = (
        f"A training step takes {numbers['rnn_vs_torch']:.1f} times as long in `torch.nn` as in farback for the RNN, "
        f"{numbers['gru_vs_torch']:.1f} times for the GRU, {numbers['lstm_vs_torch']:.1f} times for the LSTM"
        f"; a whole sweep {numbers['sweep']:.1f} times, the horizons of eight networks {numbers['answer']:.0f} times."
    )
    verdict = [
        f"{'Reached' if row.reached else '**Not reached**'}: {row.measured}: {row.ratio:.2f}, target {row.aim:g}."
        for row in reached.itertuples()
    ]
    verdict.append(f"A worker needs at most {memory:.0f} MB on `horizon`.")
    made = ", ".join(f"{name} {value}" for name, value in about.items())
    context = {
        "name": "bench",
        "question": "How fast does it train?",
        "command": "make bench",
        "notes": [*NOTES, f"Made with: {made}."],
    }
    summary = {**{name: round(value, 3) for name, value in numbers.items()}, "worker_memory_mb": round(memory)}
    text = json.dumps({**summary, "machine": dict(about)}, indent=2)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    return publish(Analysis(headline, verdict, parts), folder, "noted.md.j2", context)


def _short(points: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that only the CSV has, and with headers in words."""
    return points.drop(columns=[name for name in points.columns if name.endswith(("_low", "_high"))]).rename(
        columns=WORDS
    )


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    shown = frame.copy().astype(object)
    for name in frame:
        values = frame[name]
        if values.dtype == bool:
            shown[name] = ["yes" if value else "no" for value in values]
        elif pd.api.types.is_float_dtype(values):
            shown[name] = [three(value) for value in values]
    return shown


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:
        return "not installed"
