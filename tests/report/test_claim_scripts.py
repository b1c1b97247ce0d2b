"""The scripts of claims judge made-up scores by the rules in their configs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from farback.experiment import Experiment, Sweep
from farback.report import Finding
from farback.report.claim_verdicts import judged
from farback.report.experiment_script import experiment_module
from farback.stores.base import Recorded, tidy
from farback.system.project import config_of, script_of
from farback.trials.trial import Trial

ROOT = Path(__file__).parents[2]
Rule = Callable[[Trial], float]
CONFIRMED, REFUTED, DEPENDS = "confirmed", "refuted", "depends"
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


def findings(name: str, rule: Rule, made: Callable[..., Any] = rows) -> dict[str, Finding]:
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


def verdicts(name: str, rule: Rule, made: Callable[..., Any] = rows) -> dict[str, str]:
    """The verdict on every claim of a config."""
    return {claim: finding.verdict for claim, finding in findings(name, rule, made).items()}


def by_label(skills: dict[str, float], rest: float = 0.0) -> Rule:
    """Skills by network, slightly different for each seed."""
    return lambda trial: skills.get(trial.label, rest) - trial.seed / 1e4


def test_the_noise_free_lag_by_its_published_shares() -> None:
    published = {1.0: 8, 4.0: 6, 10.0: 2}

    def as_published(trial: Trial) -> float:
        if trial.cell.name == "lstm":
            return 1.0
        return float(trial.lag == 4 and trial.seed < published[trial.optimizer.lr])

    def soon(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        """Scores of trials that stop after 1000 sequences."""
        for measure, *place, value in rows(trial, skill):
            yield measure, *place, 1000.0 if measure == "training" else value  # type: ignore[misc]

    assert set(verdicts("noise_free_lag", as_published, soon).values()) == {CONFIRMED}
    late = verdicts("noise_free_lag", as_published)  # lag 4 takes longer than the others were given: they say nothing
    assert {late.pop(name) for name in ("hs97-lag-10", "hs97-lag-100")} == {DEPENDS}
    assert set(late.values()) == {CONFIRMED}
    always = verdicts("noise_free_lag", lambda trial: float(trial.cell.name != "lstm"))
    assert always.pop("hs97-lag-4") == DEPENDS  # 10 of 10 seeds agree with 78 % of trials, but not with 22 %
    assert set(always.values()) == {REFUTED}
    some = verdicts(
        "noise_free_lag", lambda trial: float(trial.seed == 0 or (trial.cell.name == "lstm" and trial.seed < 7))
    )
    assert {some[name] for name in ("hs97-lag-10", "hs97-lag-100", "hs97-lag-100-lstm")} == {DEPENDS}
    assert findings("noise_free_lag", as_published)["hs97-lag-4"].value == 0.8


def test_the_pilot_of_adding_by_order_gap_and_relapse() -> None:
    order = {"GRU": 0.99, "LSTM": 0.5, "LSTM, forget_bias": 0.97, "RNN tanh": 0.1}
    assert verdicts("adding_pilot", by_label(order)) == {
        "adding-order": CONFIRMED,
        "forget-bias-one": CONFIRMED,
        "irnn-unstable": REFUTED,
    }
    other = {"GRU": 0.9, "LSTM": 0.5, "LSTM, forget_bias": 0.5, "RNN tanh": 0.6}
    assert verdicts("adding_pilot", by_label(other))["adding-order"] == REFUTED
    assert verdicts("adding_pilot", by_label(other))["forget-bias-one"] == REFUTED

    def relapsing(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        yield from rows(trial, skill)
        if trial.init.name == "identity" and trial.seed < 5:
            yield "valid", trial.steps - 1, -1, "skill", skill + 0.2

    assert verdicts("adding_pilot", by_label(order), relapsing)["irnn-unstable"] == CONFIRMED


@pytest.mark.parametrize(
    ("excess", "fisher", "expected"),
    [
        (0.0, 1.0, [CONFIRMED, CONFIRMED, CONFIRMED, CONFIRMED]),
        (0.1, 1.1, [REFUTED, REFUTED, REFUTED, DEPENDS]),
    ],
)
def test_memory_is_compared_with_its_bounds(excess: float, fisher: float, expected: list[str]) -> None:
    def totals(trial: Trial, _: float) -> Iterator[tuple[str, int, int, str, float]]:
        units = trial.hidden
        register = trial.cell.name == "shift_register"
        harmonic = sum(1 / step for step in range(1, units + 1)) + (fisher - 1)
        yield "memory_function", 0, -1, "total", 0.8 * units
        yield "linear_memory_function", 0, -1, "total", units + excess
        yield "fisher_memory", 0, -1, "total", harmonic if register else fisher

    assert list(verdicts("memory_bounds", lambda trial: 0.0, totals).values()) == expected


def test_gates_that_see_no_state_are_judged_by_depth() -> None:
    def deeper(trial: Trial) -> float:
        ahead = trial.cell.name == "mingru"
        return {1: 0.3, 2: 0.8, 3: 0.99 + 0.01 * ahead}[trial.depth] - trial.seed / 1e4 - 0.05 * (not ahead)

    assert set(verdicts("gates_that_see_no_state", deeper).values()) == {CONFIRMED}
    flat = verdicts("gates_that_see_no_state", lambda trial: 0.8 + 0.1 * (trial.cell.name == "minlstm"))
    assert set(flat.values()) == {REFUTED}
    nothing = verdicts("gates_that_see_no_state", lambda trial: 0.0)
    assert nothing.pop("mingru-small") == REFUTED  # its budget is the published one
    assert set(nothing.values()) == {DEPENDS}


@pytest.mark.parametrize(
    ("solving", "expected"),
    [(10, [CONFIRMED, CONFIRMED, CONFIRMED]), (2, [DEPENDS, DEPENDS, REFUTED]), (0, [DEPENDS, DEPENDS, DEPENDS])],
)
def test_parity_counts_every_seed(solving: int, expected: list[str]) -> None:
    assert list(verdicts("parity_lengths", lambda trial: float(trial.seed < solving)).values()) == expected


def test_parity_without_success_beyond_the_training_lengths_refutes() -> None:
    def short(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        for measure, step, lag, statistic, value in rows(trial, skill):
            yield measure, step, lag, statistic, 0.5 if lag > 39 and statistic == "accuracy" else value

    answers = verdicts("parity_lengths", lambda trial: 1.0, short)
    assert (answers["parity-rnn"], answers["parity-lstm"]) == (REFUTED, REFUTED)


def test_adding_two_hundred_by_skill_and_time() -> None:
    best = {"GRU": 0.99, "LSTM, chrono (longest 200)": 0.99}
    answers = verdicts("adding_two_hundred", by_label(best))
    assert answers == {"bai-adding": CONFIRMED, "chrono-adding": CONFIRMED, "chrono-against-default": CONFIRMED}
    answers = verdicts("adding_two_hundred", lambda trial: 0.9)
    assert answers == {"bai-adding": REFUTED, "chrono-adding": REFUTED, "chrono-against-default": REFUTED}
    answers = verdicts("adding_two_hundred", by_label({"GRU": 0.99}, rest=0.8))
    assert answers["bai-adding"] == DEPENDS
    assert set(verdicts("adding_two_hundred", lambda trial: 0.0).values()) == {DEPENDS}


def test_published_adding_by_network_and_length() -> None:
    simple = {"LSTM, forget_bias": 0.9, "RNN relu, identity": 0.9}

    def as_published(trial: Trial) -> float:
        return by_label(simple)(trial) if trial.lag == 75 else by_label({"LSTM, forget_bias": 0.9})(trial)

    assert verdicts("adding_published", as_published) == {"arjovsky-adding": CONFIRMED, "le-irnn-adding": CONFIRMED}
    answers = findings("adding_published", by_label(simple))
    assert answers["arjovsky-adding"].verdict_text == "depends on the simple network: RNN relu, identity learns it too"
    none = verdicts("adding_published", by_label({"LSTM, forget_bias": 0.9}))
    assert none == {"arjovsky-adding": CONFIRMED, "le-irnn-adding": REFUTED}
    assert set(verdicts("adding_published", lambda trial: 0.0).values()) == {DEPENDS}
    assert verdicts("adding_published", by_label({"RNN tanh": 0.9}))["arjovsky-adding"] == REFUTED


def test_copying_by_start_and_delay() -> None:
    chrono, biased = "LSTM, chrono (longest 120)", "LSTM, forget_bias"

    def as_published(trial: Trial) -> float:
        ahead = trial.train_lags == "fixed"
        return by_label({chrono: 0.9 if ahead else 0.1, biased: 0.2})(trial)  # both leave the baseline

    assert set(verdicts("copy_starts", as_published).values()) == {CONFIRMED}

    def otherwise(trial: Trial) -> float:
        ahead = trial.train_lags != "fixed"
        return by_label({chrono: 0.9 if ahead else 0.05, biased: 0.2, "RNN tanh": 0.3})(trial)

    answers = verdicts("copy_starts", otherwise)
    assert answers.pop("arjovsky-copy-lstm") == CONFIRMED
    assert set(answers.values()) == {REFUTED}
    nothing = verdicts("copy_starts", lambda trial: 0.0)
    assert nothing == {
        "arjovsky-copy-lstm": REFUTED,
        "arjovsky-copy-simple": CONFIRMED,
        "chrono-copy": DEPENDS,
        "chrono-variable-copy": DEPENDS,
    }


@pytest.mark.parametrize(("lstm", "gru", "loss", "expected"), [(0.0, 0.5, 1.0, CONFIRMED), (0.5, 0.0, 0.5, REFUTED)])
def test_copying_without_memory_by_loss_and_recall(lstm: float, gru: float, loss: float, expected: str) -> None:
    def losses(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        scale = 1.0 if trial.cell.name == "memoryless" else loss
        value = scale * trial.task.baseline().loss  # type: ignore[attr-defined]
        yield from (row for row in rows(trial, skill) if row[0] != "train")
        yield "train", trial.steps, -1, "loss", value

    def skill(trial: Trial) -> float:
        return {"lstm": lstm, "gru": gru}.get(trial.cell.name, 0.0) if trial.lag < 1000 else 0.0

    assert set(verdicts("copy_without_memory", skill, losses).values()) == {expected}


def test_lengths_of_adding_count_only_seeds_that_learned_the_task() -> None:
    def at_400(gru: float) -> Callable[..., Any]:
        def made(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
            for measure, step, lag, statistic, value in rows(trial, skill):
                far = lag == 200 and statistic == "skill" and trial.cell.name == "gru"
                yield measure, step, lag, statistic, gru if far else value

        return made

    learned = by_label({"LSTM": 0.99, "GRU": 0.99})
    assert set(verdicts("adding_lengths", learned, at_400(0.0)).values()) == {CONFIRMED}
    assert verdicts("adding_lengths", learned)["third-party-lengths"] == REFUTED
    nothing = findings("adding_lengths", by_label({"RNN tanh": 0.9}))
    assert nothing["third-party-adding"].verdict == REFUTED
    assert nothing["third-party-lengths"].on == "what was learned at T = 100"


@pytest.mark.parametrize(("skill", "verdict"), [(0.999, CONFIRMED), (0.8, DEPENDS), (0.2, REFUTED)])
def test_the_lstm_of_1997_by_its_accuracy(skill: float, verdict: str) -> None:
    assert set(verdicts("lstm_of_1997", lambda trial: skill).values()) == {verdict}


@pytest.mark.parametrize(
    ("fast", "slow", "verdict"), [(0.999, 0.0, CONFIRMED), (0.0, 0.999, DEPENDS), (0.2, 0.2, REFUTED)]
)
def test_the_lstm_of_1997_from_its_own_start_by_the_published_rate(fast: float, slow: float, verdict: str) -> None:
    rule = lambda trial: fast if trial.optimizer.lr in (0.5, 1.0) else slow  # noqa: E731
    assert set(verdicts("lstm_of_1997_own_start", rule).values()) == {verdict}


@pytest.mark.parametrize(
    ("blank", "noise", "expected"),
    [(20, 0, [CONFIRMED, CONFIRMED]), (20, 20, [CONFIRMED, REFUTED]), (0, 0, [REFUTED, CONFIRMED])],
)
def test_guesses_are_counted(blank: int, noise: int, expected: list[str]) -> None:
    right = {"blank": blank, "noise": noise}
    rule = lambda trial: float(trial.seed < right[trial.task.filler])  # noqa: E731
    assert list(verdicts("weight_guessing", rule).values()) == expected


SOLVING = {
    "gpu_bai": by_label({"GRU": 0.99}),
    "gpu_arjovsky": lambda trial: float(trial.lag == 200 or trial.cell.name == "exprnn"),
    "gpu_chrono": lambda trial: {
        ("chrono", True): 0.9,
        ("forget_bias", True): 0.2,
        ("chrono", False): 0.2,
        ("forget_bias", False): 0.3,
    }[trial.init.name, trial.train_lags == "fixed"],
    "gpu_parity": lambda trial: 1.0,
    "gpu_mingru": lambda trial: 1.0 if trial.cell.name != "minlstm" else 0.9,
    "gpu_long": lambda trial: 1.0,
}
FAILING: dict[str, Rule] = {
    "gpu_bai": by_label({"LSTM, forget_bias": 0.9}),
    "gpu_chrono": lambda trial: (
        {"chrono": 0.1, "forget_bias": 0.5}[trial.init.name]
        if trial.train_lags == "fixed"
        else {"chrono": 0.9, "forget_bias": 0.5}[trial.init.name]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVING)
def test_claims_that_need_a_gpu_can_be_judged(name: str) -> None:
    assert set(verdicts(name, SOLVING[name]).values()) == {CONFIRMED}
    assert set(verdicts(name, FAILING.get(name, lambda trial: 0.0)).values()) == {REFUTED}
