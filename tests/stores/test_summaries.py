"""Several drivers that end at the same moment leave one summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_up import finished, trial

from farback.stores import descriptions, locations
from farback.stores.mlflow import MLflow


def began_blind(store: MLflow, patch: pytest.MonkeyPatch) -> None:
    """Let a store look for summaries just before another driver creates one."""
    looks: list[str] = []
    plain = store.summaries.all

    def look(experiment_id: str) -> list[Any]:
        looks.append(experiment_id)
        return plain(experiment_id) if len(looks) > 1 else []

    patch.setattr(store.summaries, "all", look)
    patch.setattr(store.lookup, "summary", lambda *_: ("", ""))


def the_summary(store: MLflow) -> Any:
    """The only run that counts as the summary; the experiment's description leads to it."""
    experiment = store.client.mlflow.get_experiment_by_name("first")
    (run,) = store.client.search(experiment.experiment_id, "tags.kind = 'summary'")
    assert experiment.tags[descriptions.SUMMARY] == run.info.run_id
    assert run.info.run_id in experiment.tags[descriptions.NOTE]
    assert run.info.status == "FINISHED"
    folder = locations.local(run.info.artifact_uri, store.uri)
    assert folder is not None
    assert [path.name for path in folder.iterdir()] == ["report.html"]
    return run


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_two_drivers_that_end_at_once_leave_one_summary(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The second creates its summary, blind to the first's, before, while, or after the first writes its own."""
    page = tmp_path / "report.html"
    page.write_text("a page")
    with MLflow(uri) as one, MLflow(uri) as two:
        with one.begin("first", [trial()]) as recorder:
            recorder.put(finished(trial()))
        began_blind(one, monkeypatch)
        began_blind(two, monkeypatch)

        def second() -> None:
            two.summarise("first", metrics={"horizon": 3.0}, files=[page])

        plain = one.client.artifacts.replace

        def replace(address: str, files: Sequence[Path], earlier: Sequence[str]) -> None:
            if when == "during":
                second()
            plain(address, files, earlier)

        monkeypatch.setattr(one.client.artifacts, "replace", replace)
        if when == "before":
            second()
        one.summarise("first", metrics={"horizon": 3.0}, files=[page])
        if when == "after":
            second()
        assert the_summary(one).data.metrics == {"horizon": 3.0}
        one.summarise("first", metrics={"horizon": 4.0}, files=[page])
        assert the_summary(two).data.metrics == {"horizon": 4.0}


def test_a_summary_that_another_driver_is_writing_stays(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with MLflow(uri) as one, MLflow(uri) as two:
        with one.begin("first", [trial()]) as recorder:
            recorder.put(finished(trial()))
        began_blind(two, monkeypatch)
        experiment_id = one.client.mlflow.get_experiment_by_name("first").experiment_id
        tags = {"kind": "summary", "owner": "another-host:1:1.00"}
        other = one.client.create_run(experiment_id, tags, "summary").info.run_id
        two.summarise("first")
        assert one.client.mlflow.get_run(other).data.tags["kind"] == "summary"
