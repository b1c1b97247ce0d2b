"""Small real trials with made-up results."""

import math

from farback.trials.events import Finished, Progress, TrialResult, scores
from farback.trials.trial import Trial


def trial(seed: int = 0, cell: str = "gru", lag: int = 10) -> Trial:
    return Trial.model_validate({"task": {"name": "recall"}, "lag": lag, "cell": {"name": cell}, "seed": seed})


def progress(of: Trial, step: int = 100, **more: float) -> Progress:
    return Progress(of.key, step, {"train/loss": 1.25, "valid/skill": step / 1000, "valid/loss": 1 / step, **more})


# Values that are easily bent on the way: many digits, signed zero, the smallest, the largest, none at all
AWKWARD = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 1 / 3]


def finished(of: Trial, skill: float = 0.7, status: str = "finished") -> Finished:
    rows = [("retention", 1000, lag, "skill", skill / lag) for lag in (1, 10, 100)]
    rows += [("awkward, name", 1000, lag, 'a "quoted" statistic', value) for lag, value in enumerate(AWKWARD)]
    rows += [("valid", step, -1, "skill", skill * step / 1000) for step in (500, 900, 1000)]
    rows += [("training", 1000, -1, "updates", 1000.0), ("lyapunov", 1000, -1, "largest", math.inf)]
    return Finished(TrialResult(of.key, scores(rows), status, {"cpu": "avx2", "parameters": "123"}))
