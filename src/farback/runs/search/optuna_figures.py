"""Optuna's own figures of a study, as pictures for the tracker's summary run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

Drawn = Callable[..., Any]


def figures(studies: Mapping[str, optuna.Study], folder: Path) -> list[Path]:
    """Draw history, slices, parallel coordinates, importances and timeline of each study, and one of all studies.

    They show what the search *saw*: what its settings are worth stands in the report. The pictures are drawn anew from
    the study each time; unlike the report's own figures their bytes may change with Optuna's version.

    Args:
        studies: by group ("" without groups).
        folder: where they go; it must exist.

    Returns:
        The paths, "optuna-GROUP-FIGURE.png". Studies with fewer than two complete trials have none.
    """
    from optuna.visualization import matplotlib as drawing

    from farback import plots

    with warnings.catch_warnings(), plots.offscreen():
        warnings.simplefilter("ignore")  # each of Optuna's figures says that it is experimental
        written = []
        whole = {group: study for group, study in studies.items() if _complete(study) > 1}
        for group, study in whole.items():
            named = re.sub(r"[^\w.-]+", "_", f"{group} " if group else "").replace("_", "-")
            if len(study.directions) == 1:
                drawn: dict[str, Drawn] = {
                    "history": drawing.plot_optimization_history,
                    "slices": drawing.plot_slice,
                    "parallel": drawing.plot_parallel_coordinate,
                    "importances": drawing.plot_param_importances,
                }
            else:
                drawn = {"front": drawing.plot_pareto_front}
            for name, draw in {**drawn, "timeline": drawing.plot_timeline}.items():
                written.append(plots.picture(draw(study), folder / f"optuna-{named}{name}.png"))
        single = [study for study in whole.values() if len(study.directions) == 1]
        if len(single) > 1:
            written.append(plots.picture(drawing.plot_edf(single), folder / "optuna-edf.png"))
    return written


def _complete(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
