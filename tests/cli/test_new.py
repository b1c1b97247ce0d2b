"""`farback new`: a file that works at once, keeps the laws of farback's own components, and overwrites nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from farback import encoders, optimizers, schedules
from farback.cli import app
from farback.cli.completion import components, started_kinds
from farback.cli.list import schema_text
from farback.experiment import Experiment
from farback.optimizers import stacked
from farback.records.own_files import VARIABLE, use_project
from farback.records.user_error import UserError
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial

ROOT = Path(__file__).parents[2]
# The tests of farback's own components of each kind; encoders, optimizers and schedules have closed forms below
LAWS = {
    "cell": ["tests/cells/test_cell_laws.py", "-k", "slow_cell"],
    "task": ["tests/tasks/test_task_laws.py", "tests/tasks/test_no_leaks.py", "-k", "slow_task"],
    "init": ["tests/inits/test_init_laws.py", "-k", "slow_init"],
    "measure": ["tests/measures/test_measure_laws.py", "-k", "slow_measure and (recall or elman or lstm or lru)"],
}
ALL = {
    "task": "slow_task",
    "lag": 3,
    "cell": {"name": "slow_cell", "rate": 0.5},
    "init": "slow_init",
    "encoder": "slow_encoder",
    "optimizer": "slow_optimizer",
    "schedule": "slow_schedule",
    "measures": ["retention", "slow_measure"],
    "hidden": 6,
    "batch": 4,
    "steps": 6,
    "evaluate_every": 3,
}


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A function that types `farback new` in an empty project and returns what is printed."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))  # restored after the test
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/schema.json").write_text("{}")

    def typed(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["new", *arguments])
        if done.exception:
            raise done.exception
        return done.output

    return typed


@pytest.fixture
def written(new: Callable[..., str], tmp_path: Path) -> Path:
    """A project with a starter of each kind, in use."""
    for kind in started_kinds(""):
        new(kind, f"slow_{kind}")
    use_project(tmp_path)
    return tmp_path


def test_each_kind_can_be_started_and_is_known_everywhere(new: Callable[..., str], tmp_path: Path) -> None:
    assert started_kinds("") == ["task", "cell", "init", "encoder", "optimizer", "schedule", "measure"]
    assert "wrote parts/cells/slow.py\n" in (text := new("cell", "slow"))
    assert "write `cell: slow` in a config" in text
    assert "write `measures: [retention, slow]` in a config" in new("measures", "slow")
    assert (tmp_path / "configs/schema.json").read_text() == schema_text()
    assert '"slow"' in schema_text()
    assert components("cells").count("slow") == components("measures").count("slow") == 1
    listed = CliRunner().invoke(app, ["list"]).output
    assert "of this project: parts/cells/slow.py, parts/measures/slow.py" in listed
    assert re.search(r"^cells .* slow, ", listed, re.MULTILINE)
    assert "From: this project (parts/cells/slow.py)" in CliRunner().invoke(app, ["list", "cells"]).output
    assert "From: this project (parts/cells/slow.py)" in CliRunner().invoke(app, ["show", "cell", "slow"]).output


def test_the_class_has_the_name_of_the_file_and_no_other_name_changes(new: Callable[..., str], tmp_path: Path) -> None:
    new("cell", "very_slow")
    text = (tmp_path / "parts/cells/very_slow.py").read_text()
    assert "class VerySlow(GatedCell):" in text
    assert "starter" not in text.lower()
    new("cell", "tensor")  # the file imports a class of this name
    assert "class TensorCell(GatedCell):" in (tmp_path / "parts/cells/tensor.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cell", "lstm"), "there is a cell of the name lstm already"),
        (("cell", "slow"), r"parts/cells/slow\.py exists already, and is not overwritten"),
        (("cell", "Slow-1"), "'Slow-1' cannot be the name of a cell: use lower-case letters, digits and _"),
        (("cell", "../slow"), "cannot be the name of a cell"),
        (("cell", "class"), "cannot be the name of a cell"),
        (("cell", "base"), "cannot be the name of a cell"),
        (("cel", "slow"), "unknown kind 'cel'; did you mean 'cell'"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(
    arguments: tuple[str, str], message: str, new: Callable[..., str], tmp_path: Path
) -> None:
    new("cell", "slow")
    before = {path: path.read_text() for path in tmp_path.rglob("*.py")}
    with pytest.raises(UserError, match=message):
        new(*arguments)
    assert {path: path.read_text() for path in tmp_path.rglob("*.py")} == before


def events(*trials: Trial) -> dict[str, Any]:
    """The scores of trials that train together, by key."""
    return {event.key: event.result.scores for event in train(Cohort.of(*trials)) if hasattr(event, "result")}


def test_a_trial_of_starters_alone_trains_and_packed_equals_alone(written: Path) -> None:
    trials = [Trial.model_validate({**ALL, "seed": seed}) for seed in range(3)]
    assert {part.own_file.name.split("/")[1] for part in trials[0].components if part.own_file} == {
        *("cells", "tasks", "inits", "encoders", "optimizers", "schedules", "measures")
    }
    packed = events(*trials)
    for trial in trials:
        assert events(trial)[trial.key].equals(packed[trial.key])
    assert "slow_measure" in set(packed[trials[0].key]["measure"])


def test_the_encoder_is_one_rectified_layer(written: Path) -> None:
    encoder = encoders.build({"name": "slow_encoder", "features": 5})
    generator = torch.Generator().manual_seed(0)
    x_RTBI, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((2, 3, 4, 6), (2, 5, 6), (2, 5)))
    found = encoder.encode({"weight": weight, "bias": bias}, x_RTBI)
    for r in range(2):
        expected = torch.relu(torch.nn.functional.linear(x_RTBI[r], weight[r], bias[r]))
        torch.testing.assert_close(found[r], expected)


def test_the_optimizer_steps_against_the_sign_of_a_constant_gradient(written: Path) -> None:
    rules = [optimizers.build({"name": "slow_optimizer", "lr": lr}) for lr in (0.1, 0.5)]
    gradient = torch.tensor([[1.0, -2.0, 0.0], [-0.5, 0.0, 3.0]])
    theta, moments = torch.zeros(2, 3), type(rules[0]).moments(gradient)
    for count in range(1, 5):
        type(rules[0]).update(theta, gradient, moments, stacked(rules, theta), count)
    torch.testing.assert_close(theta, -4 * torch.tensor([[0.1], [0.5]]) * gradient.sign())


def test_the_schedule_drops_the_rate_once(written: Path) -> None:
    schedule = schedules.build({"name": "slow_schedule", "warmup": 3, "after": 0.5, "drop": 0.25})
    assert [schedule.factor(count, 7) for count in range(1, 8)] == [0.25, 0.5, 0.75, 1.0, 1.0, 0.25, 0.25]


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAWS)
def test_the_starter_keeps_the_laws(kind: str, written: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", *LAWS[kind]]
    environment = {**os.environ, VARIABLE: str(written)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE), done.stdout + done.stderr


@pytest.mark.slow
def test_worker_processes_train_the_starters(written: Path, tmp_path: Path) -> None:
    import farback

    single = {**ALL, "cell": "slow_cell"}
    base = "".join(f"  {name}: {str(value).replace(chr(39), '')}\n" for name, value in single.items())
    text = f"name: mine\nbase:\n{base}sweep:\n- seed: [0, 1]\n"
    (tmp_path / "configs/mine.yaml").write_text(text)
    sweep = Experiment.load(tmp_path / "configs/mine.yaml")
    done = farback.run(sweep, workers=2, store=f"sqlite:///{tmp_path}/store.db", progress=False)
    assert (done.trained, done.failed) == (2, 0)
