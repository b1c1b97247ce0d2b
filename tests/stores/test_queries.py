"""Reading all runs from the database agrees with MLflow's search."""

from dataclasses import replace

import pytest
from made_up import finished, progress, trial

from farback.stores import queries
from farback.stores.mlflow import MLflow
from farback.stores.run_tags import provenance_of
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
        experiment_id, client = recorder.experiment_id, store.client.mlflow
        recorder.put(progress(trials[0]))
        recorder.put(finished(trials[0]))
        recorder.put(Failed(trials[1].key, "no"))
        recorder.put(progress(trials[2]))
        recorder.put(finished(trials[3]))
        store.summarise("first", metrics={"horizon": 3.0})
        (gone,) = [run for run in queries.every_run(uri, client, experiment_id) if run.key == trials[3].key]
        client.delete_run(gone.run_id)
        monkeypatch.setattr(queries, "found_runs", refuse)  # MLflow's search
        quick = {run.run_id: run for run in queries.every_run(uri, client, experiment_id)}
        bare = queries.every_run(uri, client, experiment_id, metrics=False)
        provenance = store.provenance("first")
        tables = queries.runs(uri)
        assert tables is not None
        assert {gone.run_id, *quick} < tables.ids()
        monkeypatch.undo()
        monkeypatch.setattr(queries, "runs", lambda uri: None)
        slow = {run.run_id: run for run in queries.every_run(uri, client, experiment_id)}
        assert store.provenance("first") == provenance
        recorder.close()
    assert quick == slow
    assert sorted(run.kind for run in quick.values()) == ["summary", "trial", "trial", "trial"]
    assert sorted(run.status for run in quick.values()) == ["FAILED", "FINISHED", "FINISHED", "RUNNING"]
    assert bare == [replace(quick[run.run_id], metrics={}) for run in bare]
    assert set(provenance) == {trials[0].key}


@pytest.mark.parametrize("where", ["uri", "on_postgres"])
def test_where_the_tables_are_not_as_we_know_them_mlflow_is_asked(
    where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = request.getfixturevalue(where)
    with MLflow(uri) as store, store.begin("first", [trial()]) as recorder:
        recorder.put(finished(trial()))
        experiment_id, client = recorder.experiment_id, store.client.mlflow
        known = {run.run_id: run for run in queries.every_run(uri, client, experiment_id)}
        monkeypatch.setattr(queries, "TAGS", queries.TAGS.replace("tags", "labels"))
        assert {run.run_id: run for run in queries.every_run(uri, client, experiment_id)} == known
    assert len(known) == 1


def test_provenance_is_the_results_own_not_the_drivers() -> None:
    recorded = {"version.torch": "2.5", "provenance.numpy": "2.0", "provenance.torch": "2.6", "kind": "trial"}
    assert provenance_of(recorded) == {"torch": "2.6", "numpy": "2.0"}


def refuse(*_: object) -> None:
    raise AssertionError("MLflow's search was asked")
