"""Measure the constants of `farback.training.cohort_width`: the time of an update for each number of replicas.

    OMP_NUM_THREADS=1 python -m benchmarks.cohort_width [FOLDER]

For each shape, a line `fixed + slope * R` is fitted to the smallest processor seconds of an update, by relative error.
The table also has the speed of one more replica: the operations of its products over the slope. The readings and the
fits are written to FOLDER/cohort_width.csv, by default in `results/bench`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.speed.points import Point

from farback.system.arithmetic import arithmetic
from farback.training.cohort_width import width
from farback.training.replicas import Replicas

FEWEST = 4  # calls of each
WIDTHS = (1, 2, 4, 8, 16, 32)
SHAPES = [(16, 10), (16, 100), (32, 20), (32, 100), (32, 500), (64, 20), (64, 100), (128, 20), (128, 100), (128, 500)]
MOST_NUMBERS = 40_000_000  # replicas * units * steps * sequences * gates: beyond it a reading takes too long


def measured(cell: str, hidden: int, steps: int, batch: int = 32, seconds: float = 1.0) -> dict[str, float | str]:
    """One shape: milliseconds of an update at each width, the fitted line, and the width that the rule gives."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[cell]
    most = max(2, MOST_NUMBERS // (hidden * steps * batch * gates))
    widths = [each for each in WIDTHS if each <= most]
    points = {each: Point(cell, hidden, steps, batch, each) for each in widths}
    sides = {str(each): partial(Replicas(point.trials).update, 2) for each, point in points.items()}
    taken = {int(name): min(values) for name, values in _taken(sides, seconds).items()}
    each, time = np.array(list(taken)), np.array(list(taken.values()))
    weights = np.stack([1 / time, each / time], 1)  # relative errors count
    fixed, slope = np.linalg.lstsq(weights, np.ones(len(time)), rcond=None)[0]
    return {
        "cell": cell,
        "hidden": hidden,
        "steps": steps,
        **{f"ms at R={each}": 1e3 * taken[each] if each in taken else float("nan") for each in WIDTHS},
        "fixed_ms": 1e3 * float(fixed),
        "slope_ms": 1e3 * float(slope),
        "gflops": points[1].flops / float(slope) / 1e9,
        "width": width(points[1].trials[0]),
    }


def _taken(sides: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Processor seconds of calls that take turns; time of other processes does not count."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for call in sides.values():
        call()
    began = time.process_time()
    while len(taken["1"]) < FEWEST or time.process_time() - began < seconds:
        for name, call in sides.items():
            before = time.process_time()
            call()
            taken[name].append(time.process_time() - before)
    return taken


def main(folder: Path) -> None:
    """Measure every shape."""
    rows = []
    with arithmetic():
        for cell in ("RNN", "LSTM"):
            for hidden, steps in SHAPES:
                rows.append(measured(cell, hidden, steps))
                print(
                    {name: round(value, 3) if isinstance(value, float) else value for name, value in rows[-1].items()}
                )
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "cohort_width.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "results" / "bench")
