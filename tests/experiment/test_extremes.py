"""Extreme values train, or are refused before anything runs; divergence is a result."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from farback.experiment import ConfigError, Experiment
from farback.runs import sweep, trial_checks
from farback.stores.memory import Memory
from farback.training import cohort_width
from farback.training.long_sequences import steps_of_task
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial

CONFIG = """\
name: tiny
base: {task: recall, lag: 3, cell: elman, hidden: 4, batch: 4, steps: 4, evaluate_every: 2}
sweep: [{seed: [0]}]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(CONFIG)
    return Path("tiny.yaml")


@pytest.mark.parametrize(
    "settings",
    [
        "lag=0",
        "lag=1000 hidden=1 batch=1",
        "hidden=1 depth=1 batch=1",
        pytest.param("depth=64 hidden=1", marks=pytest.mark.slow),
        "optimizer.lr=1000",
        "optimizer.lr=1e-30",
        "optimizer.eps=1e30",
        "clip=1e30",
        "clip=1e-30",
        "clip=null",
        "seed=9223372036854775807",
        "steps=0",
        "steps=1 evaluate_every=10000000",
        "task=kernel task.tau=1e30",
        "task=assoc lag=40 task.power=1e-30",
        "task.symbols=1024",
    ],
)
def test_extreme_values_train(settings: str, config: Path) -> None:
    store = Memory()
    summary = sweep.run(Experiment.load(config, settings.split()), workers=1, store=store)
    assert (summary.trained, summary.diverged, summary.failed) == (1, 0, 0)
    assert len(store.frame("tiny")) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("lag=-1", "lag: must be at least 0, got -1"),
        ("lag=100000000", "lag: must be at most 10000000, got 100000000"),
        ("task=parity lag=1000000", "parity draws whole sequences: at most 100000"),
        ("hidden=0", "hidden: must be at least 1, got 0"),
        ("hidden=1000000", "hidden: must be at most 8192"),
        ("batch=0", "batch: must be at least 1"),
        ("depth=0", "depth: must be at least 1"),
        ("depth=1000", "depth: must be at most 64"),
        ("optimizer.lr=0", "optimizer.lr: must be greater than 0, got 0"),
        ("optimizer.lr=-1", "optimizer.lr: must be greater than 0, got -1"),
        ("optimizer.lr=1e30", "optimizer.lr: must be at most 1000, got 1e+30"),
        ("optimizer.lr=.nan", "optimizer.lr: must be a finite number, got nan"),
        ("optimizer.lr=.inf", "optimizer.lr: must be a finite number, got inf"),
        ("optimizer.lr=1e-300", "optimizer.lr: must be between 1e-30 and 1e+30, the range of single precision"),
        ("optimizer.eps=1e-300", "optimizer.eps: must be between 1e-30 and 1e+30"),
        ("optimizer.beta1=0.9999999999999999", "optimizer.beta1: must be at most 0.9999999"),
        ("clip=0", "clip: must be greater than 0"),
        ("clip=.inf", "clip: must be a finite number"),
        ("clip=.nan", "clip: must be a finite number"),
        ("clip=1e308", "clip: must be between 1e-30 and 1e+30"),
        ("seed=-1", "seed: must be at least 0"),
        ("seed=18446744073709551616", "seed: must be less than 9223372036854775808"),
        ("seed=[0,0]", "the same trial twice"),
        ("seed={range: 0}", "range 0 has no levels"),
        ("seed=[]", "the list of levels is empty"),
        ("steps=-1", "steps: must be at least 0"),
        ("evaluate_every=0", "evaluate_every: must be at least 1"),
        ("task=delay task.tolerance=5e-324", "tolerance must be 0 or between 1e-30 and 1e+30"),
        ("task=kernel task.width=1e-308", "width must be 0 or between 1e-30 and 1e+30"),
        ("task=kernel task.shape=two_bumps task.width=0.001", "is zero at every step"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_the_setting(settings: str, message: str, config: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Experiment.load(config, re.split(r" (?=\w)", settings) if "{" not in settings else [settings])


def test_divergence_is_a_result(config: Path) -> None:
    """Rectified units that multiply their state by ten at each of a hundred steps overflow."""
    settings = ["cell.nonlinearity=relu", "init={name: identity, gain: 10}", "lag=100"]
    store = Memory()
    summary = sweep.run(Experiment.load(config, settings), workers=1, store=store)
    assert (summary.trained, summary.diverged, summary.failed) == (1, 1, 0)
    assert set(store.frame("tiny")["status"]) == {"diverged"}


def test_a_trial_too_large_for_the_memory_is_an_error_with_the_numbers(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort_width, "machine_bytes", lambda: 2**30)
    message = (
        r"tiny\.yaml: LSTM on copy at lag 99999 \(1 x 4 units, 4 sequences of \d+ steps a batch, 256 in validation\)"
    )
    with pytest.raises(
        ConfigError, match=message + r" needs at least [\d.]+ GiB of memory, and this machine has 1\.0 GiB"
    ):
        trial_checks.check(Experiment.load(config, ["lag=99999", "cell=lstm", "task=copy"]))
    trial_checks.check(Experiment.load(config, ["lag=99"]))


def test_the_memory_estimate_uses_the_sequence_length_not_the_lag(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort_width, "machine_bytes", lambda: 2**26)
    assert not cohort_width.too_large(Experiment.load(config).trials())
    both = ["task.length=10001", "bidirectional=true"]  # which needs whole sequences
    assert "10001 steps" in cohort_width.too_large(Experiment.load(config, both).trials())


def test_a_long_sequence_makes_cohorts_smaller_at_any_lag(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Experiment.load(config, ["seed={range: 10}", "task.length=10001", "bidirectional=true"]).trials()
    three = 3 * cohort_width.TYPICAL * cohort_width.training_bytes(trials[0], 5000)
    monkeypatch.setattr(cohort_width, "machine_bytes", lambda: int(three))
    assert [len(part.trials) for part in cohort_width.fitting(Cohort.of(*trials), 1)] == [1] * 10


def test_the_memory_estimate_is_made_once_for_each_size(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check does not hash the shapes of trials, which would take longer than the rest of it."""
    axes = "{seed: {range: 50}, optimizer.lr: [1.0e-3, 1.0e-2], hidden: [4, 8], cell: [elman, gru]}"
    config.write_text(CONFIG.replace("{seed: [0]}", axes))
    trials = Experiment.load(config).trials()
    assert len(trials) == 400
    weighed = []

    def weigh(trial: Trial, steps: int | None = None) -> int:
        weighed.append(trial)
        return 1

    monkeypatch.setattr(cohort_width, "training_bytes", weigh)
    assert not cohort_width.too_large(trials)
    assert len({(trial.cell.name, trial.hidden) for trial in weighed}) == 4
    assert len(weighed) == 8  # each at its least, and at its length
    assert not any("shape" in trial.__dict__ for trial in trials)  # a cached property


def test_cohorts_are_as_wide_as_the_memory_allows(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Experiment.load(config, ["seed={range: 10}"]).trials()
    one = cohort_width.TYPICAL * cohort_width.training_bytes(trials[0], steps_of_task(trials[0].task))
    monkeypatch.setattr(cohort_width, "machine_bytes", lambda: int(2 * 3.5 * one))
    assert [len(part.trials) for part in cohort_width.fitting(Cohort.of(*trials), 2)] == [3, 3, 3, 1]
    assert [len(part.trials) for part in cohort_width.fitting(Cohort.of(*trials), 100)] == [1] * 10
    monkeypatch.setattr(cohort_width, "machine_bytes", lambda: 10**15)
    assert [len(part.trials) for part in cohort_width.fitting(Cohort.of(*trials), 2)] == [10]


SCRIPT = """
import json, sys
from pathlib import Path
from farback.training.cohort_width import training_bytes
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial
def peak():
    # getrusage would count what the process held that started this one
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
spec = {"task": "recall", "steps": 2, "evaluate_every": 1, "measures": [], **json.loads(sys.argv[1])}
list(train(Cohort.of(Trial.model_validate({**spec, "lag": 3}))))
before = peak()
trial = Trial.model_validate(spec)
list(train(Cohort.of(trial)))
print((peak() - before) / training_bytes(trial))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [{"cell": "lstm", "hidden": 32, "lag": 5000}, {"cell": "elman", "hidden": 4, "batch": 4, "lag": 10_000}],
    ids=["many units", "few units"],
)
def test_the_memory_estimate_is_below_the_measured_peak(spec: dict[str, object]) -> None:
    """Peak memory beyond that of a short lag, relative to the estimate. The first of two processes compiles."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(spec)]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert 0.9 < float(done[-1].stdout) < 8
