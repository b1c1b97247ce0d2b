"""The seconds of trainings that runs keep for later estimates."""

from pathlib import Path

import pytest

import farback
from farback.stores.mlflow import MLflow
from farback.system import devices
from farback.training.loop import train
from farback.training.rates import Size, Stopwatch, folder, keep, kept
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial

SMALL = {"task": "recall", "cell": "elman", "hidden": 4, "batch": 4, "evaluate_every": 5, "steps": 20, "stop": "never"}


def trial(seed: int = 0, lag: int = 3, **fields: object) -> Trial:
    return Trial.model_validate({**SMALL, "seed": seed, "lag": lag, **fields})


def test_a_training_keeps_its_seconds(tmp_path: Path) -> None:
    cohort = Cohort.of(trial(0), trial(1))
    events = list(train(cohort, kept_rates=tmp_path))
    assert not any(kept(tmp_path, trial(lag=50), "cuda"))  # another device
    (found,) = kept(tmp_path, trial(lag=50), devices.CPU).items()  # of the kind, whatever the lag
    assert found[0] == Size(2, 4)
    assert 0 < found[1].update < 1
    assert 0 < found[1].evaluation < 1
    assert not kept(tmp_path, trial(hidden=5), devices.CPU)
    list(train(Cohort.of(trial(2, lag=30)), kept_rates=tmp_path))
    assert kept(tmp_path, trial(), devices.CPU).keys() == {Size(2, 4), Size(1, 31)}
    list(train(Cohort.of(trial(3, lag=4)), kept_rates=tmp_path / "absent" / "rates"))
    assert not (tmp_path / "absent").exists()  # a project without a store
    assert [event.result.scores.to_numpy().tolist() for event in events if hasattr(event, "result")] == [
        event.result.scores.to_numpy().tolist() for event in train(cohort) if hasattr(event, "result")
    ]


def test_a_training_with_a_single_turn_of_updates_is_not_kept(tmp_path: Path) -> None:
    one = trial(steps=1)  # its update would include the loading of kernels
    list(train(Cohort.of(one), kept_rates=tmp_path))
    assert not kept(tmp_path, one, devices.CPU)


def test_cohorts_are_alike_if_work_and_steps_are() -> None:
    assert Size(2, 50).is_like(Size(1, 100))
    assert Size(1, 100).is_like(Size(2, 50))
    assert not Size(4, 25).is_like(Size(1, 100))  # the same work, but an evaluation takes four times as long
    assert not Size(1, 25).is_like(Size(1, 100))


def test_a_part_takes_its_mean_without_the_first_time() -> None:
    watch, one = Stopwatch(), trial(measures=[])
    watch.add("begin", 3.0)
    watch.add("update", 100.0)
    watch.add("update", 2.0, 4)
    watch.add("update", 6.0, 4)
    assert watch.seconds(one) is None  # it was never evaluated
    watch.add("evaluation", 7.0)
    seconds = watch.seconds(one)
    assert seconds is not None
    assert (seconds.begin, seconds.update, seconds.evaluation, seconds.end) == (3.0, 1.0, 7.0, 0.0)


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '[[1, 2, {"other": 3}]]', '[["a", 2, {}]]', "7"])
def test_a_damaged_file_is_like_none_and_is_written_again(tmp_path: Path, content: str) -> None:
    cohort, watch = Cohort.of(trial(measures=[])), Stopwatch()
    for part in ("begin", "update", "evaluation"):
        watch.add(part, 1.0)
    keep(tmp_path, cohort, devices.CPU, watch)
    (path,) = tmp_path.glob("*/*.json")
    path.write_text(content)
    assert not kept(tmp_path, cohort.trials[0], devices.CPU)
    keep(tmp_path, cohort, devices.CPU, watch)
    assert kept(tmp_path, cohort.trials[0], devices.CPU)


@pytest.mark.slow
def test_a_run_keeps_them_in_its_project(tmp_path: Path) -> None:
    config = tmp_path / "configs" / "small.yaml"
    config.parent.mkdir()
    config.write_text(
        "name: small\nbase: {task: recall, lag: 3, hidden: 4, batch: 4, steps: 8, evaluate_every: 4}\n"
        "sweep: [{cell: [elman, gru]}]\n"
    )
    with MLflow(f"sqlite:///{tmp_path}/results/store/mlflow.db", project=tmp_path) as store:
        farback.run(config, store=store, workers=1, progress=False)
    assert len([*folder(tmp_path).glob("*/*.json")]) == 2
