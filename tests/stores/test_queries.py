"""Reading all runs from the database agrees with MLflow's search."""

from dataclasses import replace

import pytest
from made_up import finished, progress, trial

from farback.stores import queries
from farback.stores.mlflow import MLflow
from farback.stores.run_metadata import provenance_of
from farback.trials.events import Failed


@pytest.mark.parametrize("where", ["uri", "on_postgres"])
def test_reading_runs_from_the_database_agrees_with_mlflow_s_search(
    where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials, uri = [trial(seed) for seed in range(4)], request.getfixturevalue(where)
    with MLflow(uri) as store:
        with store.begin("second", trials[:1]) as other:
            other.put(finished(trials[0]))
        recorder = store.begin("first", trials)
        experiment_id = recorder.experiment_id
        recorder.put(progress(trials[0]))
        recorder.put(finished(trials[0]))
        recorder.put(Failed(trials[1].key, "no"))
        recorder.put(progress(trials[2]))
        recorder.put(finished(trials[3]))
        store.summarise("first", metrics={"horizon": 3.0})
        (gone,) = [run for run in store.lookup.every(experiment_id) if run.key == trials[3].key]
        store.client.mlflow.delete_run(gone.run_id)
        monkeypatch.setattr(store.client, "search", refuse)  # MLflow's
        quick = {run.run_id: run for run in store.lookup.every(experiment_id)}
        bare = store.lookup.every(experiment_id, metrics=False)
        provenance = store.provenance("first")
        monkeypatch.undo()
        monkeypatch.setattr(queries, "TAGS", "select from nowhere")
        slow = {run.run_id: run for run in store.lookup.every(experiment_id)}
        assert store.provenance("first") == provenance
        recorder.close()
    assert quick == slow
    assert sorted(run.kind for run in quick.values()) == ["summary", "trial", "trial", "trial"]
    assert sorted(run.status for run in quick.values()) == ["FAILED", "FINISHED", "FINISHED", "RUNNING"]
    assert bare == [replace(quick[run.run_id], metrics={}) for run in bare]
    assert set(provenance) == {trials[0].key}


def test_provenance_is_read_from_the_result_s_tags_not_from_the_driver_s() -> None:
    recorded = {"version.torch": "2.5", "provenance.numpy": "2.0", "provenance.torch": "2.6", "kind": "trial"}
    assert provenance_of(recorded) == {"torch": "2.6", "numpy": "2.0"}


def refuse(*_: object) -> None:
    raise AssertionError("MLflow's search was asked")
