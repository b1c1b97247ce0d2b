"""Measure the constants of `farback.training.cohort_width`: the time of an update for each number of replicas.

    OMP_NUM_THREADS=1 python -m benchmarks.cohort_width [FOLDER]

For each shape and both ways of updating (many updates in one compiled call, and one by one), a line
`fixed + slope * R` is fitted to the smallest processor seconds of an update, by relative error; drawing the sequences
is included, and shown for one replica. The table also has the speed of one more replica: the operations of its products
over the slope. The readings and the fits are written to FOLDER/cohort_width.csv, by default in `results/bench`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.speed.points import Point

from farback.system.arithmetic import arithmetic
from farback.training.cohort_width import width
from farback.training.replicas import Replicas, Window
from farback.trials.trial import Trial

FEWEST = 4  # calls of each
LONGEST = 100  # updates in a call, at most: an evaluation is due after them
WIDTHS = (1, 2, 4, 8, 16, 32)
SHAPES = [(16, 10), (16, 100), (32, 20), (32, 100), (32, 500), (64, 20), (64, 100), (128, 20), (128, 100), (128, 500)]
MOST_NUMBERS = 40_000_000  # replicas * units * steps * sequences * gates: beyond it a reading takes too long


def measured(
    cell: str, hidden: int, steps: int, compiled: bool, batch: int = 32, seconds: float = 1.0
) -> dict[str, float | str]:
    """One shape: milliseconds of an update at each width, the fitted line, and the width that the rule gives."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[cell]
    most = max(2, MOST_NUMBERS // (hidden * steps * batch * gates))
    widths = [each for each in WIDTHS if each <= most]
    points = {each: Point(cell, hidden, steps, batch, each) for each in widths}
    cohorts = {
        each: Cohort([trial.model_copy(update={"steps": 10**7}) for trial in points[each].trials], compiled)
        for each in widths
    }
    taken = {name: min(values) for name, values in _taken(cohorts, seconds).items()}
    each, time = np.array(list(taken)), np.array(list(taken.values()))
    weights = np.stack([1 / time, each / time], 1)  # relative errors count
    fixed, slope = np.linalg.lstsq(weights, np.ones(len(time)), rcond=None)[0]
    return {
        "cell": cell,
        "hidden": hidden,
        "steps": steps,
        "updates": "in one call" if compiled else "one by one",
        **{f"ms at R={each}": 1e3 * taken[each] if each in taken else float("nan") for each in WIDTHS},
        "draw_ms": 1e3 * min(cohorts[1].draw() for _ in range(FEWEST)),
        "fixed_ms": 1e3 * float(fixed),
        "slope_ms": 1e3 * float(slope),
        "gflops": points[1].flops / float(slope) / 1e9,
        "width": width(points[1].trials[0]),
    }


class Cohort:
    """Replicas in training; each call does the updates of one draw of sequences, at least."""

    def __init__(self, trials: Sequence[Trial], compiled: bool) -> None:
        self.replicas, self.count = Replicas(trials), 0
        self.replicas.is_compiled &= compiled

    def update(self) -> float:
        """The processor seconds of an update."""
        replicas, before, done = self.replicas, time.process_time(), 0
        while not done or replicas.training.used < replicas.training.drawn:
            done += replicas.update(self.count + done + 1, LONGEST)[0]
        self.count += done
        replicas.window = Window()
        return (time.process_time() - before) / done

    def draw(self) -> float:
        """The processor seconds of drawing and stacking the sequences of an update."""
        stream, before = self.replicas.training, time.process_time()
        stream.resume(stream.states, 0, 0)
        return (time.process_time() - before) / stream.drawn


def _taken(cohorts: Mapping[int, Cohort], seconds: float) -> dict[int, list[float]]:
    """Processor seconds of updates; the cohorts take turns. Time of other processes does not count."""
    taken: dict[int, list[float]] = {name: [] for name in cohorts}
    for cohort in cohorts.values():
        cohort.update()
    began = time.process_time()
    while len(taken[1]) < FEWEST or time.process_time() - began < seconds:
        for name, cohort in cohorts.items():
            taken[name].append(cohort.update())
    return taken


def main(folder: Path) -> None:
    """Measure every shape."""
    rows = []
    with arithmetic():
        for cell in ("RNN", "LSTM"):
            for (hidden, steps), compiled in product(SHAPES, (True, False)):
                rows.append(measured(cell, hidden, steps, compiled))
                shown = {
                    name: round(value, 3) if isinstance(value, float) else value for name, value in rows[-1].items()
                }
                print(shown, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "cohort_width.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "results" / "bench")
