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


def test_what_was_put_comes_back_exactly(store: Store) -> None:
    one = trial()
    store.begin("first", [one])
    store.put(progress(one))
    event = finished(one)
    store.put(event)
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
    for each in (store, reference):
        each.begin("first", trials)
    for one in trials:
        store.put(finished(one, skill=one.seed + 0.1))
    for one in reversed(trials):
        reference.put(finished(one, skill=one.seed + 0.1))
    pd.testing.assert_frame_equal(store.frame("first"), reference.frame("first"), check_exact=True)


def test_finished_are_the_converged_and_the_diverged(store: Store) -> None:
    converged, diverged, failed, unfinished, unseen = (trial(seed) for seed in range(5))
    store.begin("first", [converged, diverged, failed, unfinished, unseen])
    store.put(finished(converged))
    store.put(finished(diverged, status="diverged"))
    store.put(progress(failed))
    store.put(Failed(failed.key, "the worker was killed", "Traceback"))
    store.put(progress(unfinished))
    keys = [each.key for each in (converged, diverged, failed, unfinished, unseen)]
    assert store.finished(keys) == {converged.key, diverged.key}
    assert store.finished([diverged.key, "unknown"]) == {diverged.key}
    assert store.finished([]) == set()
    assert set(store.frame("first")["status"]) == {"finished", "diverged"}


def test_a_failed_trial_can_finish_later(store: Store) -> None:
    one = trial()
    store.begin("first", [one])
    store.put(Failed(one.key, "out of memory"))
    store.put(progress(one))
    store.put(finished(one))
    assert store.finished([one.key]) == {one.key}
    assert len(store.frame("first")) == len(finished(one).result.scores)


def test_finishing_twice_keeps_one_set_of_rows_the_later(store: Store) -> None:
    one = trial()
    store.begin("first", [one])
    store.put(finished(one, skill=0.25))
    store.put(finished(one, skill=0.5))
    frame = store.frame("first")
    pd.testing.assert_frame_equal(frame[SCORE_COLUMNS], finished(one, skill=0.5).result.scores)


def test_experiments_do_not_mix(store: Store) -> None:
    one, two = trial(1), trial(2)
    store.begin("first", [one])
    store.put(finished(one))
    store.begin("second", [one, two])
    assert store.finished([one.key, two.key]) == set()
    store.put(finished(two))
    assert set(store.frame("first")["key"]) == {one.key}
    assert set(store.frame("second")["key"]) == {two.key}
    store.begin("first", [one])
    with pytest.raises(ValueError, match="none of the trials"):
        store.put(finished(trial(3)))


def test_an_unknown_experiment_has_an_empty_frame(store: Store) -> None:
    assert store.frame("nowhere").empty
    assert {"key", "label", "status", *SCORE_COLUMNS} <= set(store.frame("nowhere").columns)
    with pytest.raises(ValueError, match="nothing is recorded of 'nowhere'"):
        store.summarise("nowhere")


@pytest.mark.parametrize("name", ["", "a/b", "..", " padded ", "x" * 81])
def test_a_name_that_pages_cannot_show_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="experiment's name"):
        store.begin(name, [])


def test_foreign_metric_names_do_no_harm(store: Store) -> None:
    one = trial()
    store.begin("first", [one])
    for name in ("../up", "/a//b/", "log10 |J|@k=3 (mean)", "\u03bb/\u00e9\n\t", "...", "x" * 400, "a/b/c", ""):
        store.put(progress(one, **{name: 1.0}))
    rows = [("../m", 5, 3, "a=b/../c", 1.5), ("x" * 300, 5, -1, "s", 2.5)]
    event = finished(one)
    object.__setattr__(event.result, "scores", scores(rows))
    store.put(event)
    pd.testing.assert_frame_equal(store.frame("first")[SCORE_COLUMNS], scores(rows))


def test_no_trials_no_scores_no_question_are_fine(store: Store) -> None:
    store.begin("first", [])
    store.summarise("first")
    assert store.frame("first").empty


def test_a_trial_is_tagged_before_it_runs_while_it_runs_and_afterwards(store: Store) -> None:
    one, other = trial(0), trial(1)
    store.begin("first", [one, other])
    store.tag(one.key, {"study": "tune/LSTM", "optuna.number": "3"})
    store.put(progress(one))
    store.tag(one.key, {"optuna.state": "running"}, {"search/skill": 0.25})
    store.put(finished(one))
    store.tag(one.key, {"optuna.state": "complete"}, {"search/skill": 0.5})
    assert said(store, one) == (
        {"study": "tune/LSTM", "optuna.number": "3", "optuna.state": "complete"},
        {"search/skill": 0.5},
    )
    assert said(store, other) == ({}, {})
    with pytest.raises(ValueError, match="none of the trials"):
        store.tag(trial(2).key, {"study": "x"})


def test_how_a_trial_came_to_be_is_kept_of_its_latest_result(store: Store) -> None:
    one, failed = trial(0), trial(1)
    store.begin("first", [one, failed])
    made = {"torch": "2.6.0", "python": "3.11.0", "cpu_features": "abcd", "blas": "openblas 1; mkl 2", "pid": "17"}
    for torch in ("2.5.0", "2.6.0"):
        event = finished(one)
        object.__setattr__(event.result, "provenance", made | {"torch": torch})
        store.put(event)
    store.put(Failed(failed.key, "no"))
    found = store.provenance("first")
    assert set(found) == {one.key}
    assert made.items() - found[one.key].items() == {("pid", "17")}
    assert "pid" not in found[one.key]
    assert store.provenance("nowhere") == {}


def beside(store: Store) -> Store:
    """Another driver's hold on the same store."""
    return Memory(beside=store) if isinstance(store, Memory) else MLflow(store.uri)


def test_a_trial_is_claimed_by_one_driver_at_a_time(store: Store) -> None:
    one, two, three = (trial(seed) for seed in range(3))
    keys = [one.key, two.key, three.key]
    with beside(store) as other:
        for each in (store, other):
            each.begin("first", [one, two, three])
        assert store.claim(keys[:2]) == set(keys[:2])
        assert store.claim(keys[:1]) == {one.key}  # ours already
        assert other.claim(keys) == {three.key}
        store.put(finished(one))
        store.put(Failed(two.key, "no"))
        store.release(keys[:2])
        assert other.claim(keys) == {two.key, three.key}  # what is finished needs nobody
        assert store.claim(keys) == set()
    assert store.claim(keys) == {two.key, three.key}


def test_claims_are_of_one_experiment(store: Store) -> None:
    one = trial()
    with beside(store) as other:
        store.begin("first", [one])
        assert store.claim([one.key]) == {one.key}
        other.begin("second", [one])
        assert other.claim([one.key]) == {one.key}
        store.begin("second", [one])  # with another experiment the claims of the first are given back
        assert store.claim([one.key]) == set()
        other.begin("first", [one])
        assert other.claim([one.key]) == {one.key}


def said(store: Store, of: Trial) -> tuple[dict[str, str], dict[str, float]]:
    """What a store was told of a trial."""
    if isinstance(store, Memory):
        entry = store.experiments["first"]
        return entry.tags.get(of.key, {}), entry.metrics.get(of.key, {})
    began = store.client.get_experiment_by_name("first").experiment_id
    found = store.client.search_runs([began], f"tags.`farback.key` = '{of.key}'")
    tags = {name: text for run in found for name, text in run.data.tags.items() if name.startswith(("study", "optuna"))}
    return tags, {name: value for run in found for name, value in run.data.metrics.items() if name.startswith("search")}
