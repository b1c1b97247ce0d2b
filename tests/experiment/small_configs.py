"""Small configs, and the values of their trials."""

from __future__ import annotations

from collections.abc import Sequence

from farback.experiment import Sweep


def config(sweep: str = "", base: str = "{task: recall, lag: 5, cell: elman, steps: 10}") -> str:
    """A small config: its sweep begins on line 4."""
    return f"name: demo\nbase: {base}\n" + (f"sweep:\n{sweep}\n" if sweep else "")


def values(experiment: Sweep, names: Sequence[str]) -> list[tuple[object, ...]]:
    return [tuple(trial.parameters()[name] for name in names) for trial in experiment.trials()]
