"""What every store does. Values are compared bit for bit."""

import struct

import pandas as pd
import pytest
from made_up import finished, progress, trial

from farback.stores.base import Store
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow
from farback.trials.events import SCORE_COLUMNS, Failed, scores
from farback.trials.trial import Trial


def bits(values: pd.Series) -> list[bytes]:
    return [struct.pack("d", value) for value in values]


def test_recorded_scores_are_read_back_exactly(store: Store) -> None:
    one = trial()
    event = finished(one)
    with store.begin("first", [one]) as recorder:
        recorder.put(progress(one))
        recorder.put(event)
    frame = store.frame("first")
    expected = event.result.scores
    assert bits(frame["value"]) == bits(expected["value"])
    pd.testing.assert_frame_equal(frame[SCORE_COLUMNS], expected)
    for name, value in one.columns().items():
        if value is not None:
            assert frame[name].tolist() == [value] * len(expected)
    assert list(frame.columns) == [*one.columns(), "status", *SCORE_COLUMNS]


def test_all_stores_give_the_same_frame(store: Store) -> None:
    trials = [trial(seed, cell, lag) for cell in ("lstm", "elman") for lag in (20, 5) for seed in (1, 0)]
    reference = Memory()
    with store.begin("first", trials) as recorder, reference.begin("first", trials) as other:
        for one in trials:
            recorder.put(finished(one, skill=one.seed + 0.1))
        for one in reversed(trials):
            other.put(finished(one, skill=one.seed + 0.1))
    pd.testing.assert_frame_equal(store.frame("first"), reference.frame("first"), check_exact=True)


def test_converged_and_diverged_trials_are_finished(store: Store) -> None:
    converged, diverged, failed, unfinished, unseen = (trial(seed) for seed in range(5))
    keys = [each.key for each in (converged, diverged, failed, unfinished, unseen)]
    with store.begin("first", [converged, diverged, failed, unfinished, unseen]) as recorder:
        recorder.put(finished(converged))
        recorder.put(finished(diverged, status="diverged"))
        recorder.put(progress(failed))
        recorder.put(Failed(failed.key, "the worker was killed", "Traceback"))
        recorder.put(progress(unfinished))
        assert store.finished("first", keys) == {converged.key, diverged.key}
    assert store.finished("first", keys) == {converged.key, diverged.key}
    assert store.finished("first", [diverged.key, "unknown"]) == {diverged.key}
    assert store.finished("first", []) == set()
    assert store.finished("nowhere", keys) == set()
    assert set(store.frame("first")["status"]) == {"finished", "diverged"}


def test_a_failed_trial_can_finish_later(store: Store) -> None:
    one = trial()
    with store.begin("first", [one]) as recorder:
        recorder.put(Failed(one.key, "out of memory"))
        recorder.put(progress(one))
        recorder.put(finished(one))
    assert store.finished("first", [one.key]) == {one.key}
    assert len(store.frame("first")) == len(finished(one).result.scores)


def test_a_trial_that_finishes_twice_keeps_the_later_rows(store: Store) -> None:
    one = trial()
    with store.begin("first", [one]) as recorder:
        recorder.put(finished(one, skill=0.25))
        recorder.put(finished(one, skill=0.5))
    frame = store.frame("first")
    pd.testing.assert_frame_equal(frame[SCORE_COLUMNS], finished(one, skill=0.5).result.scores)


def test_experiments_do_not_mix(store: Store) -> None:
    one, two = trial(1), trial(2)
    with store.begin("first", [one]) as first, store.begin("second", [one, two]) as second:
        first.put(finished(one))
        assert store.finished("first", [one.key, two.key]) == {one.key}
        assert store.finished("second", [one.key, two.key]) == set()
        second.put(finished(two))
        with pytest.raises(ValueError, match="no trial with the key"):
            first.put(finished(two))
        first.add([two])
        first.put(progress(two))
    assert set(store.frame("first")["key"]) == {one.key}
    assert set(store.frame("second")["key"]) == {two.key}


def test_an_unknown_experiment_has_an_empty_frame(store: Store) -> None:
    assert store.frame("nowhere").empty
    assert {"key", "label", "status", *SCORE_COLUMNS} <= set(store.frame("nowhere").columns)
    with pytest.raises(ValueError, match="nothing is recorded of 'nowhere'"):
        store.summarise("nowhere")


@pytest.mark.parametrize("name", ["", "a/b", "..", " padded ", "x" * 81])
def test_an_invalid_experiment_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="experiment's name"):
        store.begin(name, [])


def test_unusual_metric_names_are_accepted(store: Store) -> None:
    one = trial()
    recorder = store.begin("first", [one])
    for name in ("../up", "/a//b/", "log10 |J|@k=3 (mean)", "\u03bb/\u00e9\n\t", "...", "x" * 400, "a/b/c", ""):
        recorder.put(progress(one, **{name: 1.0}))
    rows = [("../m", 5, 3, "a=b/../c", 1.5), ("x" * 300, 5, -1, "s", 2.5)]
    event = finished(one)
    object.__setattr__(event.result, "scores", scores(rows))
    recorder.put(event)
    recorder.close()
    pd.testing.assert_frame_equal(store.frame("first")[SCORE_COLUMNS], scores(rows))


def test_an_empty_experiment_is_accepted(store: Store) -> None:
    store.begin("first").close()
    store.summarise("first")
    assert store.frame("first").empty


def test_a_trial_is_tagged_before_it_runs_while_it_runs_and_afterwards(store: Store) -> None:
    one, other = trial(0), trial(1)
    with store.begin("first", [one, other]) as recorder:
        recorder.tag(one.key, {"study": "tune/LSTM", "optuna.number": "3"})
        recorder.put(progress(one))
        recorder.tag(one.key, {"optuna.state": "running"}, {"search/skill": 0.25})
        recorder.put(finished(one))
        recorder.tag(one.key, {"optuna.state": "complete"}, {"search/skill": 0.5})
        with pytest.raises(ValueError, match="no trial with the key"):
            recorder.tag(trial(2).key, {"study": "x"})
    assert attached(store, one) == (
        {"study": "tune/LSTM", "optuna.number": "3", "optuna.state": "complete"},
        {"search/skill": 0.5},
    )
    assert attached(store, other) == ({}, {})
    with store.begin("first", [one]) as later:
        later.tag(one.key, {"optuna.state": "reported"})
    assert attached(store, one)[0]["optuna.state"] == "reported"


def test_the_provenance_of_the_latest_result_is_kept(store: Store) -> None:
    one, failed = trial(0), trial(1)
    recorder = store.begin("first", [one, failed])
    made = {"torch": "2.6.0", "python": "3.11.0", "cpu_features": "abcd", "blas": "openblas 1; mkl 2", "pid": "17"}
    for torch in ("2.5.0", "2.6.0"):
        event = finished(one)
        object.__setattr__(event.result, "provenance", made | {"torch": torch})
        recorder.put(event)
    recorder.put(Failed(failed.key, "no"))
    recorder.close()
    found = store.provenance("first")
    assert set(found) == {one.key}
    assert made.items() - found[one.key].items() == {("pid", "17")}
    assert "pid" not in found[one.key]
    assert store.provenance("nowhere") == {}


def test_a_trial_is_leased_by_one_driver_at_a_time(store: Store) -> None:
    one, two, three = trials = [trial(seed) for seed in range(3)]
    keys = [each.key for each in trials]
    with store.begin("first", trials) as mine:
        with store.begin("first", trials) as other:
            assert mine.lease(keys[:2]) == set(keys[:2])
            assert mine.lease(keys[:1]) == {one.key}  # ours already
            assert other.lease(keys) == {three.key}
            mine.put(finished(one))
            mine.put(Failed(two.key, "no"))
            mine.release(keys[:2])
            assert other.lease(keys) == {two.key, three.key}  # a finished trial is left out
            assert mine.lease(keys) == set()
        assert mine.lease(keys) == {two.key, three.key}


def test_a_lease_is_valid_in_one_experiment(store: Store) -> None:
    one = trial()
    with store.begin("first", [one]) as first, store.begin("second", [one]) as second:
        assert first.lease([one.key]) == {one.key}
        assert second.lease([one.key]) == {one.key}
    with store.begin("first", [one]) as again:
        assert again.lease([one.key]) == {one.key}


def test_a_trial_that_two_drivers_train_is_recorded_once(store: Store) -> None:
    """Leases exclude nobody: two drivers may record the same trial, which must do no harm."""
    one = trial()
    with store.begin("first", [one]) as mine, store.begin("first", [one]) as other:
        mine.lease([one.key])
        mine.put(progress(one))
        other.put(progress(one))
        other.put(finished(one))
        mine.put(finished(one))
        assert mine.lease([one.key]) == set()
    pd.testing.assert_frame_equal(store.frame("first")[SCORE_COLUMNS], finished(one).result.scores)
    assert store.finished("first", [one.key]) == {one.key}


def test_after_an_error_other_drivers_can_lease_the_trials(store: Store) -> None:
    one = trial()

    def fail() -> None:
        with store.begin("first", [one]) as mine:
            mine.lease([one.key])
            mine.put(progress(one))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.begin("first", [one]) as other:
        assert other.lease([one.key]) == {one.key}
        other.put(finished(one))
    assert store.finished("first", [one.key]) == {one.key}


def attached(store: Store, of: Trial) -> tuple[dict[str, str], dict[str, float]]:
    """The tags and metrics that were attached to a trial."""
    if isinstance(store, Memory):
        entry = store.experiments["first"]
        return entry.tags.get(of.key, {}), entry.metrics.get(of.key, {})
    assert isinstance(store, MLflow)
    began = store.client.mlflow.get_experiment_by_name("first").experiment_id
    found = list(store.client.search(began, f"tags.`farback.key` = '{of.key}'"))
    tags = {name: text for run in found for name, text in run.data.tags.items() if name.startswith(("study", "optuna"))}
    return tags, {name: value for run in found for name, value in run.data.metrics.items() if name.startswith("search")}
