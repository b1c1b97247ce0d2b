"""Words of other libraries, other spellings of numbers and of nothing: the error says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from farback import cells, encoders, inits, optimizers, schedules, tasks
from farback.experiment import Experiment
from farback.experiment.absent_settings import ABSENT, PAGE
from farback.trials.trial import Trial

Problems = Callable[..., list[str]]


def config(setting: str) -> str:
    fields = dict(part.split(": ", 1) for part in ("task: recall", "cell: elman", "lag: 5", setting))
    return "name: demo\nbase:\n" + "".join(f"  {key}: {value}\n" for key, value in fields.items())


@pytest.mark.parametrize(
    ("setting", "meant"),
    {
        "lr: 0.01": "optimizer.lr",
        "learning_rate: 0.01": "optimizer.lr",
        "optimizer: {name: adam, learning_rate: 0.01}": "lr",
        "optimizer: Adamm": "adam",
        "num_layers: 2": "depth",
        "hidden_size: 8": "hidden",
        "batch_size: 8": "batch",
        "epochs: 8": "steps",
        "grad_clip: 1.0": "clip",
        "weight_decay: 0.1": "optimizer.weight_decay",
        "warmup: 100": "schedule.warmup",
        "curriculum: [1, 5]": "train_lags",
        "lr_scheduler: cosine": "schedule",
        "schedule: {name: cosine, warmup_steps: 100}": "warmup",
        "schedule: cosin": "cosine",
        "tbptt_steps: 20": "truncate",
        "weight_drop: 0.5": "recurrent_dropout",
        "symbols: 4": "task.symbols",
        "nonlinearity: relu": "cell.nonlinearity",
        "model: gru": "cell",
        "rnn: gru": "cell",
        "GRU: {}": "cell: gru",
        "cell: rnn": "elman",
        "cell: {name: RNN}": "elman",
        "cell: GRUU": "gru",
        "init: Chronos": "chrono",
        "encoder: Convo": "conv",
        "initial_state: Zeros": "zeros",
        "layer_norm: true": "block",
        "block: {normal: rms}": "norm",
        "block: {norm: rmsnorm}": "rms",
    }.items(),
)
def test_a_word_of_another_library_names_the_word_of_farback(setting: str, meant: str, problems: Problems) -> None:
    (line,) = problems(config(setting))
    assert f"did you mean {meant!r}?" in line


@pytest.mark.parametrize(
    "setting",
    ["ema: 0.99", "label_smoothing: 0.1", "precision: 16", "gradient_noise: 0.1", "weight_norm: true", "zoneout: 0.1"],
)
def test_a_setting_that_farback_does_not_have_is_answered_with_the_page(setting: str, problems: Problems) -> None:
    for line in (*problems(config(setting)), *problems(config(f"optimizer: {{name: sgd, {setting}}}"))):
        assert f"unknown key '{setting.split(':')[0]}'; farback has no such setting: {PAGE}" in line
        assert "did you mean" not in line


def test_the_page_names_every_setting_that_farback_does_not_have() -> None:
    page = (Path(__file__).parents[2] / PAGE).read_text()
    assert [word for word in sorted(ABSENT) if f"`{word}`" not in page] == []


def test_no_setting_is_called_absent() -> None:
    families = (tasks, cells, inits, encoders, optimizers, schedules)
    members = [member for family in families for member in family.base.FAMILY.members()]
    own = {name for record in (Trial, *members) for name in record.model_fields}
    assert sorted(ABSENT & own) == []


@pytest.mark.parametrize(
    ("setting", "owners"),
    {
        "optimizer: {name: adam, weight_decay: 0.1}": "adamw",
        "optimizer: {name: adam, momentum: 0.1}": "rmsprop and sgd",
        "schedule: {name: constant, final: 0.1}": "cosine and linear",
    }.items(),
)
def test_a_setting_of_another_component_names_that_component(setting: str, owners: str, problems: Problems) -> None:
    (line,) = problems(config(setting))
    assert f"; it belongs to {owners}; " in line


@pytest.mark.parametrize("word", ["xyzzy", "name"])
def test_a_word_that_means_nothing_here_gets_no_hint(word: str, problems: Problems) -> None:
    (line,) = problems(config(f"{word}: 3"))
    assert "did you mean" not in line
    assert "choose from" in line


@pytest.mark.parametrize(
    ("key", "meant"), [("lag", "base.lag"), ("lr", "base.optimizer.lr"), ("gru", "base.cell: gru")]
)
def test_a_setting_outside_of_base_is_sent_there(key: str, meant: str, problems: Problems) -> None:
    (line,) = problems(f"{config('hidden: 4')}{key}: 3\n")
    assert f"did you mean {meant!r}?" in line


@pytest.mark.parametrize("setting", ["clip: none", "clip: None", "clip: off", "match: none"])
def test_a_word_for_nothing_mentions_null(setting: str, problems: Problems) -> None:
    (line,) = problems(config(setting))
    assert line.endswith("; write null to leave it out")


def test_null_is_not_proposed_where_it_is_refused(problems: Problems) -> None:
    (line,) = problems(config("steps: none"))
    assert "null" not in line
    (refused,) = problems(config("steps: null"))
    assert "must be an integer" in refused


@pytest.mark.parametrize(
    ("text", "steps"), [("1e3", 1000), ("1E3", 1000), ("+1e3", 1000), ("1.5e3", 1500), ("2.e0", 2), ("20e-1", 2)]
)
def test_an_exponent_may_write_an_integer(text: str, steps: int, load: Callable[..., Experiment]) -> None:
    for experiment in (load(config(f"steps: {text}")), load(config("steps: 7"), f"steps={text}")):
        (trial,) = experiment.trials()
        assert isinstance(trial, Trial)
        assert trial.steps == steps
        assert trial.key == load(config(f"steps: {steps}")).trials()[0].key


def test_an_exponent_writes_the_same_real_number_as_a_point(load: Callable[..., Experiment]) -> None:
    keys = {load(config(f"optimizer: {{name: sgd, lr: {text}}}")).trials()[0].key for text in ("1e1", "10.0", "10")}
    assert len(keys) == 1


@pytest.mark.parametrize("text", ["1e-3", "1.5", "1.5e0", "1000.0", "1e30"])
def test_other_numbers_are_not_integers(text: str, problems: Problems) -> None:
    (line,) = problems(config(f"steps: {text}"))
    assert "base.steps: must be an integer" in line


def test_a_question_of_two_lines_becomes_one(load: Callable[..., Experiment]) -> None:
    experiment = load(config("hidden: 4") + "question: |\n  How far\n\n  back?\n")
    assert experiment.question == "How far back?"
