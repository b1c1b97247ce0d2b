"""The scripts of claims judge made-up scores by the rules that their configs wrote down."""

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
from farback.report.page import _script
from farback.report.verdicts import judged
from farback.stores.memory import Memory
from farback.system.project import config_of, script_of
from farback.trials.events import Finished, TrialResult, scores
from farback.trials.trial import Trial

ROOT = Path(__file__).parents[2]
Rule = Callable[[Trial], float]
CONFIRMED, REFUTED, DEPENDS = "confirmed", "refuted", "depends"


def rows(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
    """What a trial of that final skill leaves: a learning curve that rises at half of its updates, and retention."""
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
def loaded(name: str) -> Sweep:
    """A claim's config: read once."""
    sweep = Experiment.load(config_of(name, ROOT))
    assert isinstance(sweep, Sweep)
    return sweep


def made_up(name: str, rule: Rule, made: Callable[..., Any] = rows) -> tuple[ModuleType, Sweep, pd.DataFrame]:
    """A claim's script, its experiment, and a frame of all its trials with skills by a rule."""
    experiment = loaded(name)
    store = Memory()
    with store.begin(name, experiment.trials()) as recorder:
        for trial in experiment.trials():
            recorder.put(Finished(TrialResult(trial.key, scores([*made(trial, rule(trial))]), "finished")))
    script = _script(script_of(name, ROOT))
    assert script is not None
    return script, experiment, store.frame(name)


def found(name: str, rule: Rule, made: Callable[..., Any] = rows) -> dict[str, Finding]:
    """The findings, after the whole page was made and every claim of the config was answered."""
    script, experiment, frame = made_up(name, rule, made)
    analysis = script.analyse(frame, ())
    assert analysis.headline.endswith(".")
    assert analysis.verdict
    assert len({part.name for part in analysis.parts}) == len(analysis.parts)
    assert all(len(part.frame) for part in analysis.parts)
    return judged(script, experiment.claims, frame, name)


def said(name: str, rule: Rule, made: Callable[..., Any] = rows) -> dict[str, str]:
    """The verdicts."""
    return {claim: finding.verdict for claim, finding in found(name, rule, made).items()}


def by_label(skills: dict[str, float], rest: float = 0.0) -> Rule:
    """Skills by network, with a little for each seed."""
    return lambda trial: skills.get(trial.label, rest) - trial.seed / 1e4


def test_the_noise_free_lag_by_its_published_shares() -> None:
    published = {1.0: 8, 4.0: 6, 10.0: 2}

    def as_published(trial: Trial) -> float:
        if trial.cell.name == "lstm":
            return 1.0
        return float(trial.lag == 4 and trial.seed < published[trial.optimizer.lr])

    def soon(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        """Whatever is learned is learned within 1000 sequences."""
        for measure, *place, value in rows(trial, skill):
            yield measure, *place, 1000.0 if measure == "training" else value  # type: ignore[misc]

    assert set(said("noise_free_lag", as_published, soon).values()) == {CONFIRMED}
    late = said("noise_free_lag", as_published)  # lag 4 takes longer than the others were given: they say nothing
    assert {late.pop(name) for name in ("hs97-lag-10", "hs97-lag-100")} == {DEPENDS}
    assert set(late.values()) == {CONFIRMED}
    always = said("noise_free_lag", lambda trial: float(trial.cell.name != "lstm"))
    assert always.pop("hs97-lag-4") == DEPENDS  # 10 of 10 seeds agree with 78 % of trials, but not with 22 %
    assert set(always.values()) == {REFUTED}
    some = said(
        "noise_free_lag", lambda trial: float(trial.seed == 0 or (trial.cell.name == "lstm" and trial.seed < 7))
    )
    assert {some[name] for name in ("hs97-lag-10", "hs97-lag-100", "hs97-lag-100-lstm")} == {DEPENDS}
    assert found("noise_free_lag", as_published)["hs97-lag-4"].value == 0.8


def test_the_pilot_of_adding_by_order_gap_and_relapse() -> None:
    order = {"GRU": 0.99, "LSTM": 0.5, "LSTM, forget_bias": 0.97, "RNN tanh": 0.1}
    assert said("adding_pilot", by_label(order)) == {
        "adding-order": CONFIRMED,
        "forget-bias-one": CONFIRMED,
        "irnn-unstable": REFUTED,
    }
    other = {"GRU": 0.9, "LSTM": 0.5, "LSTM, forget_bias": 0.5, "RNN tanh": 0.6}
    assert said("adding_pilot", by_label(other))["adding-order"] == REFUTED
    assert said("adding_pilot", by_label(other))["forget-bias-one"] == REFUTED

    def relapsing(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        yield from rows(trial, skill)
        if trial.init.name == "identity" and trial.seed < 5:
            yield "valid", trial.steps - 1, -1, "skill", skill + 0.2

    assert said("adding_pilot", by_label(order), relapsing)["irnn-unstable"] == CONFIRMED


@pytest.mark.parametrize(
    ("excess", "fisher", "verdicts"),
    [
        (0.0, 1.0, [CONFIRMED, CONFIRMED, CONFIRMED, CONFIRMED]),
        (0.1, 1.1, [REFUTED, REFUTED, REFUTED, DEPENDS]),
    ],
)
def test_memory_is_held_against_its_bounds(excess: float, fisher: float, verdicts: list[str]) -> None:
    def totals(trial: Trial, _: float) -> Iterator[tuple[str, int, int, str, float]]:
        units = trial.hidden
        register = trial.cell.name == "shift_register"
        harmonic = sum(1 / step for step in range(1, units + 1)) + (fisher - 1)
        yield "memory_function", 0, -1, "total", 0.8 * units
        yield "linear_memory_function", 0, -1, "total", units + excess
        yield "fisher_memory", 0, -1, "total", harmonic if register else fisher

    assert list(said("memory_bounds", lambda trial: 0.0, totals).values()) == verdicts


def test_gates_that_see_no_state_are_judged_by_depth() -> None:
    def deeper(trial: Trial) -> float:
        ahead = trial.cell.name == "mingru"
        return {1: 0.3, 2: 0.8, 3: 0.99 + 0.01 * ahead}[trial.depth] - trial.seed / 1e4 - 0.05 * (not ahead)

    assert set(said("gates_that_see_no_state", deeper).values()) == {CONFIRMED}
    flat = said("gates_that_see_no_state", lambda trial: 0.8 + 0.1 * (trial.cell.name == "minlstm"))
    assert set(flat.values()) == {REFUTED}
    nothing = said("gates_that_see_no_state", lambda trial: 0.0)
    assert nothing.pop("mingru-small") == REFUTED  # its budget is the published one
    assert set(nothing.values()) == {DEPENDS}


@pytest.mark.parametrize(
    ("solving", "verdicts"),
    [(10, [CONFIRMED, CONFIRMED, CONFIRMED]), (2, [DEPENDS, DEPENDS, REFUTED]), (0, [DEPENDS, DEPENDS, DEPENDS])],
)
def test_parity_counts_every_seed(solving: int, verdicts: list[str]) -> None:
    assert list(said("parity_lengths", lambda trial: float(trial.seed < solving)).values()) == verdicts


def test_parity_that_ends_with_the_training_lengths_refutes() -> None:
    def short(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        for measure, step, lag, statistic, value in rows(trial, skill):
            yield measure, step, lag, statistic, 0.5 if lag > 39 and statistic == "accuracy" else value

    verdicts = said("parity_lengths", lambda trial: 1.0, short)
    assert (verdicts["parity-rnn"], verdicts["parity-lstm"]) == (REFUTED, REFUTED)


def test_adding_two_hundred_by_skill_and_time() -> None:
    best = {"GRU": 0.99, "LSTM, chrono (longest 200)": 0.99}
    verdicts = said("adding_two_hundred", by_label(best))
    assert verdicts == {"bai-adding": CONFIRMED, "chrono-adding": CONFIRMED, "chrono-against-default": CONFIRMED}
    verdicts = said("adding_two_hundred", lambda trial: 0.9)
    assert verdicts == {"bai-adding": REFUTED, "chrono-adding": REFUTED, "chrono-against-default": REFUTED}
    verdicts = said("adding_two_hundred", by_label({"GRU": 0.99}, rest=0.8))
    assert verdicts["bai-adding"] == DEPENDS
    assert set(said("adding_two_hundred", lambda trial: 0.0).values()) == {DEPENDS}


def test_published_adding_by_network_and_length() -> None:
    simple = {"LSTM, forget_bias": 0.9, "RNN relu, identity": 0.9}

    def as_told(trial: Trial) -> float:
        return by_label(simple)(trial) if trial.lag == 75 else by_label({"LSTM, forget_bias": 0.9})(trial)

    assert said("adding_published", as_told) == {"arjovsky-adding": CONFIRMED, "le-irnn-adding": CONFIRMED}
    verdicts = found("adding_published", by_label(simple))
    assert verdicts["arjovsky-adding"].said == "depends on the simple network: RNN relu, identity learns it too"
    none = said("adding_published", by_label({"LSTM, forget_bias": 0.9}))
    assert none == {"arjovsky-adding": CONFIRMED, "le-irnn-adding": REFUTED}
    assert set(said("adding_published", lambda trial: 0.0).values()) == {DEPENDS}
    assert said("adding_published", by_label({"RNN tanh": 0.9}))["arjovsky-adding"] == REFUTED


def test_copying_by_start_and_delay() -> None:
    chrono, biased = "LSTM, chrono (longest 120)", "LSTM, forget_bias"

    def as_told(trial: Trial) -> float:
        ahead = trial.train_lags == "fixed"
        return by_label({chrono: 0.9 if ahead else 0.1, biased: 0.2})(trial)  # both leave the baseline

    assert set(said("copy_starts", as_told).values()) == {CONFIRMED}

    def otherwise(trial: Trial) -> float:
        ahead = trial.train_lags != "fixed"
        return by_label({chrono: 0.9 if ahead else 0.05, biased: 0.2, "RNN tanh": 0.3})(trial)

    verdicts = said("copy_starts", otherwise)
    assert verdicts.pop("arjovsky-copy-lstm") == CONFIRMED
    assert set(verdicts.values()) == {REFUTED}
    nothing = said("copy_starts", lambda trial: 0.0)
    assert nothing == {
        "arjovsky-copy-lstm": REFUTED,
        "arjovsky-copy-simple": CONFIRMED,
        "chrono-copy": DEPENDS,
        "chrono-variable-copy": DEPENDS,
    }


@pytest.mark.parametrize(("lstm", "gru", "loss", "verdicts"), [(0.0, 0.5, 1.0, CONFIRMED), (0.5, 0.0, 0.5, REFUTED)])
def test_copying_without_memory_by_loss_and_recall(lstm: float, gru: float, loss: float, verdicts: str) -> None:
    def losses(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
        scale = 1.0 if trial.cell.name == "memoryless" else loss
        value = scale * trial.task.baseline().loss  # type: ignore[attr-defined]
        yield from (row for row in rows(trial, skill) if row[0] != "train")
        yield "train", trial.steps, -1, "loss", value

    def skill(trial: Trial) -> float:
        return {"lstm": lstm, "gru": gru}.get(trial.cell.name, 0.0) if trial.lag < 1000 else 0.0

    assert set(said("copy_without_memory", skill, losses).values()) == {verdicts}


def test_lengths_of_adding_count_those_that_learned_it() -> None:
    def at_400(gru: float) -> Callable[..., Any]:
        def made(trial: Trial, skill: float) -> Iterator[tuple[str, int, int, str, float]]:
            for measure, step, lag, statistic, value in rows(trial, skill):
                far = lag == 200 and statistic == "skill" and trial.cell.name == "gru"
                yield measure, step, lag, statistic, gru if far else value

        return made

    learned = by_label({"LSTM": 0.99, "GRU": 0.99})
    assert set(said("adding_lengths", learned, at_400(0.0)).values()) == {CONFIRMED}
    assert said("adding_lengths", learned)["third-party-lengths"] == REFUTED
    nothing = found("adding_lengths", by_label({"RNN tanh": 0.9}))
    assert nothing["third-party-adding"].verdict == REFUTED
    assert nothing["third-party-lengths"].on == "what was learned at T = 100"


@pytest.mark.parametrize(("skill", "verdict"), [(0.999, CONFIRMED), (0.8, DEPENDS), (0.2, REFUTED)])
def test_the_lstm_of_1997_by_what_it_gets_right(skill: float, verdict: str) -> None:
    assert set(said("lstm_of_1997", lambda trial: skill).values()) == {verdict}


@pytest.mark.parametrize(
    ("fast", "slow", "verdict"), [(0.999, 0.0, CONFIRMED), (0.0, 0.999, DEPENDS), (0.2, 0.2, REFUTED)]
)
def test_the_lstm_of_1997_from_its_own_start_by_the_published_rate(fast: float, slow: float, verdict: str) -> None:
    rule = lambda trial: fast if trial.optimizer.lr in (0.5, 1.0) else slow  # noqa: E731
    assert set(said("lstm_of_1997_own_start", rule).values()) == {verdict}


@pytest.mark.parametrize(
    ("blank", "noise", "verdicts"),
    [(20, 0, [CONFIRMED, CONFIRMED]), (20, 20, [CONFIRMED, REFUTED]), (0, 0, [REFUTED, CONFIRMED])],
)
def test_guesses_are_counted(blank: int, noise: int, verdicts: list[str]) -> None:
    right = {"blank": blank, "noise": noise}
    rule = lambda trial: float(trial.seed < right[trial.task.filler])  # noqa: E731
    assert list(said("weight_guessing", rule).values()) == verdicts


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


@pytest.mark.parametrize("name", SOLVING)
def test_what_needs_a_gpu_is_judged_once_it_was_run(name: str) -> None:
    assert set(said(name, SOLVING[name]).values()) == {CONFIRMED}
    assert set(said(name, FAILING.get(name, lambda trial: 0.0)).values()) == {REFUTED}
