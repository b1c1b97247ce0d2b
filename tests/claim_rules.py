"""The verdicts that the rule of a claim can give, read from its text, and its verdict on made-up scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pandas as pd

from farback.experiment import Experiment, Sweep
from farback.records.claim import Claim
from farback.report import Finding
from farback.report.claim_verdicts import VERDICTS, judged
from farback.report.experiment_script import experiment_module
from farback.stores.base import Recorded, tidy
from farback.system.project import config_of, script_of
from farback.trials.trial import Trial

ROOT = Path(__file__).parents[1]
Rule = Callable[[Trial], float]
Values = Iterator[tuple[str, int, int, str, float]]
Made = Callable[[Trial, float], Values]
ROW = ("training", 0, -1, "updates", 0.0)
SCORE = ["measure", "step", "lag", "statistic", "value"]
PAGES: set[str] = set()  # experiments that made a page: drawing takes time, so each makes one


def rows(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
    """The scores of a trial with this final skill: a learning curve that rises half-way, and retention."""
    chance = trial.task.chance()
    for part in (1, 2, 3, 4):
        at = trial.steps * part // 4
        yield "valid", at, -1, "skill", skill if part >= 2 else 0.0
        yield "train", at, -1, "loss", (1 - skill) * chance.loss
    for lag in dict.fromkeys([*getattr(trial.measures[0], "lags", ()), trial.lag]):
        values = {
            "skill": skill,
            "accuracy": chance.accuracy + max(skill, 0.0) * (1 - chance.accuracy),
            "loss": (1 - skill) * chance.loss,
            "success": float(skill >= 0.5),
            "chance_accuracy": chance.accuracy,
        }
        for statistic, value in values.items():
            yield "retention", trial.steps, lag, statistic, value
    yield "training", trial.steps, -1, "updates", trial.steps / 4


@lru_cache
def loaded(name: str) -> tuple[ModuleType, Sweep, pd.DataFrame]:
    """A claim's script, its experiment, and a frame with the trials' own columns."""
    experiment = Experiment.load(config_of(name, ROOT))
    assert isinstance(experiment, Sweep)
    script = experiment_module(script_of(name, ROOT))
    assert script is not None
    trials = tidy(Recorded(trial.columns(), "finished", [ROW]) for trial in experiment.trials())
    return script, experiment, trials.drop(columns=SCORE)


def findings(name: str, rule: Rule, made: Made = rows) -> dict[str, Finding]:
    """The findings for every claim of a config, from skills by a rule; the first time after the page was made."""
    script, experiment, trials = loaded(name)
    made_up = [(trial.key, *row) for trial in experiment.trials() for row in made(trial, rule(trial))]
    frame = trials.merge(pd.DataFrame(made_up, columns=["key", *SCORE]), on="key")
    if name not in PAGES:
        PAGES.add(name)
        analysis = script.analyse(frame, ())
        assert analysis.headline.endswith(".")
        assert analysis.verdict
        assert len({part.name for part in analysis.parts}) == len(analysis.parts)
        assert all(len(part.frame) for part in analysis.parts)
    return judged(script, experiment.claims, frame, name)


UNREACHABLE = {  # the rule of these says that no data can refute the claim within this budget
    "lstm-thousand-adding": "refuted",
    "lstm-thousand-recall": "refuted",
    "hs97-guessing": "refuted",
}


def named_verdicts(claim: Claim) -> set[str]:
    """The verdicts that the text of a claim's rule names, without those that it calls impossible."""
    return {verdict for verdict in VERDICTS if verdict in claim.check.lower()} - {UNREACHABLE.get(claim.id, "")}
