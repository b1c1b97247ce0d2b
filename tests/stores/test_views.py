"""Saved views: what MLflow reads back from the tags, and the links that open them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from made_up import trial

from farback.cli import ui
from farback.records.user_error import UserError
from farback.stores import descriptions, run_metadata, views
from farback.stores.mlflow import MLflow
from farback.trials.trial import Trial


def entries(store: MLflow) -> dict[str, dict]:
    found = store.client.mlflow.get_experiment_by_name("first").tags
    return {
        name.removeprefix(views.TAG): json.loads(text) for name, text in found.items() if name.startswith(views.TAG)
    }


def test_the_views_of_a_sweep_have_the_right_state(uri: str) -> None:
    with MLflow(uri) as store:
        store.begin("first", [trial(seed, cell) for cell in ("gru", "lstm") for seed in (0, 1)]).close()
        found = entries(store)
    assert [entry["name"] for _, entry in sorted(found.items())] == ["Cells", "What decides", "How far back", "Trials"]
    states = {entry["name"]: views.unpacked(entry["state"]) for entry in found.values()}
    assert all(state["searchFilter"] == "tags.kind = 'trial'" for state in states.values())
    assert {"params.`cell`", "params.`lag`", "params.`seed`", "metrics.`final/skill`"} <= set(
        states["Trials"]["selectedColumns"]
    )
    assert states["Cells"]["groupBy"]["groupByKeys"] == [{"mode": "param", "groupByData": "cell"}]
    far = [chart for chart in states["How far back"]["compareRunCharts"] if chart["xAxisScaleType"] == "log"]
    assert [chart["metricKey"] for chart in far] == [
        *("retention/skill", "retention/accuracy", "gradient_reach/log10"),
        *("memory_function/r2", "causal_reach/effect", "probe/skill", "truncation_reach/skill"),
    ]
    assert states["How far back"]["hideEmptyCharts"]  # an experiment shows what it measures
    by_update = [chart["metricKey"] for chart in states["How far back"]["compareRunCharts"] if chart not in far]
    assert "retention/horizon" in by_update
    decides = states["What decides"]["compareRunCharts"][0]
    assert (decides["type"], decides["selectedParams"]) == ("PARALLEL", ["cell", "seed"])
    for state in states.values():
        sections = {section["uuid"] for section in state["compareRunSections"]}
        assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == sections


def test_rewritten_views_keep_their_creation_time(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with MLflow(uri) as store:
        with store.begin("first", [trial(0)]) as recorder:
            before = entries(store)
            monkeypatch.setattr(views.time, "time", lambda: 4e9)
            store.begin("first", [trial(0)]).close()
            assert entries(store) == before
            recorder.add([trial(1, "lstm")])
        after = entries(store)
    assert {name: entry["createdAt"] for name, entry in after.items()} == {
        name: entry["createdAt"] for name, entry in before.items()
    }
    assert after["farback-cells"]["updatedAt"] > before["farback-cells"]["updatedAt"]


def test_views_fit_into_a_tag() -> None:
    many = [
        run_metadata.parameters(trial(seed, cell, lag))
        for cell in ("gru", "lstm")
        for lag in (1, 9)
        for seed in range(9)
    ]
    for view in views.sweep_views(views.varying(many)):
        labels = [
            {**many[0], "cell": f"a rather long label {n}", "train_lags": f"uniform 1-{n % 2}"} for n in range(40)
        ]
        assert len(views.packed(view.state(labels))) < 4800


def grouped(view: views.View, parameters: list[dict[str, str]]) -> list[str]:
    return [key["groupByData"] for key in view.state(parameters)["groupBy"]["groupByKeys"]]


def test_the_two_protocols_have_views_of_their_own() -> None:
    """A mean over nets trained at one lag and nets trained on many says nothing."""
    one = run_metadata.parameters(trial(0))
    many = {**one, "train_lags": "uniform 1-80"}
    (far, cells, *_) = views.sweep_views([])
    assert far.searched == "tags.kind = 'trial'"
    assert grouped(far, [one]) == grouped(cells, [one]) == ["cell"]
    assert grouped(cells, [one, many]) == ["cell", "train_lags"]
    assert "param.cell.GRU,param.train_lags.uniform 1-80" in cells.state([one, many])["groupsExpanded"]
    (far, each_lag, *_) = views.sweep_views(["train_lags"])
    assert far.searched == "tags.kind = 'trial' and params.train_lags != 'fixed'"
    assert each_lag.searched == "tags.kind = 'trial' and params.train_lags = 'fixed'"
    for view in (far, each_lag):
        assert grouped(view, [one, many]) == ["cell"]
    others = [one, many, {**many, "train_lags": "log_uniform 1-80"}]
    assert grouped(far, others) == ["cell", "train_lags"]


def test_networks_trained_at_different_lags_are_not_averaged_if_tested_at_the_same_lags() -> None:
    (far, *_) = views.sweep_views([])
    own = [run_metadata.parameters(trial(0, lag=lag)) for lag in (2, 8)]
    assert grouped(far, own) == ["cell"]  # each is one point of the line
    listed = {"measures": [{"name": "retention", "lags": [1, 2, 8]}]}
    asked = [
        run_metadata.parameters(Trial.model_validate({**trial(0, lag=lag).model_dump(), **listed})) for lag in (2, 8)
    ]
    assert asked[0][views.TEST_LAGS] == "1 2 8"
    assert grouped(far, asked) == ["cell", "lag"]
    assert set(far.state(asked)["groupsExpanded"]) == {"param.cell.GRU,param.lag.2", "param.cell.GRU,param.lag.8"}


def test_parameters_stand_before_results() -> None:
    """MLflow's own order has the parameters last, out of sight."""
    state = next(view for view in views.sweep_views(["depth"]) if view.name == "Trials").state()
    order = [column for column in state["columnOrder"] if column in state["selectedColumns"]]
    assert order == state["selectedColumns"]
    assert order[:5] == ["params.`cell`", "params.`lag`", "params.`seed`", "params.`depth`", "tags.`status`"]
    assert state["columnOrder"][0] == "attributes.`Run Name`"
    assert set(state["columnWidths"]) <= set(state["columnOrder"])


STUDY = views.SearchViews(
    ("optimizer.lr", "init.name"), (("skill", True), ("updates", False)), ("GRU",), ("GRU best (#3)",)
)


def test_a_search_has_views_of_its_own(uri: str) -> None:
    """Best first, fresh seeds apart from what the search saw, by group, parallel coordinates over what is searched."""
    with MLflow(uri) as store:
        store.begin("first", [trial(0)], views=STUDY).close()
        found = entries(store)
        told = store.client.mlflow.get_experiment_by_name("first").tags[descriptions.NOTE]
    names = ["Best first", "On fresh seeds", "By group", "Parallel coordinates"]
    assert [found[f"farback-{name}"]["name"] for name in ("best", "fresh", "groups", "parallel")] == names
    states = {entry["name"]: views.unpacked(entry["state"]) for entry in found.values()}
    assert set(states) == set(names)
    assert (states["Best first"]["orderByKey"], states["Best first"]["orderByAsc"]) == (
        "metrics.`mean over seeds/skill`",
        False,
    )
    assert {"params.`optimizer.lr`", "tags.`optuna.reason`", "metrics.`mean over seeds/updates`"} <= set(
        states["Best first"]["selectedColumns"]
    )
    phases = {name: state["searchFilter"].rpartition("= ")[2] for name, state in states.items()}
    assert phases == {name: "'report'" if name == "On fresh seeds" else "'search'" for name in names}
    assert states["On fresh seeds"]["groupBy"]["groupByKeys"] == [{"mode": "param", "groupByData": "setting"}]
    assert states["On fresh seeds"]["groupsExpanded"] == {"param.setting.GRU best (#3)": False}
    assert states["By group"]["groupBy"]["groupByKeys"] == [{"mode": "param", "groupByData": "group"}]
    (chart,) = states["Parallel coordinates"]["compareRunCharts"]
    assert chart["selectedParams"] == ["group", "optimizer.lr", "init.name"]
    assert chart["selectedMetrics"] == ["mean over seeds/skill"]
    assert "viewStateShareKey=farback-best" in told
    assert "farback-cells" not in told


def test_the_smallest_value_of_a_minimised_objective_is_first() -> None:
    best = views.search_views(views.SearchViews((), (("updates", False),)))[0]
    assert best.state()["orderByAsc"] is True


def test_links_go_to_the_views_that_an_experiment_has() -> None:
    search = [views.TAG + view.id for view in views.search_views(STUDY)]
    assert [view.id for view in views.existing(search)] == [view.id for view in views.search_views(STUDY)]
    both = [views.TAG + view.id for view in views.sweep_views(["train_lags"])]
    assert [view.name for view in views.existing(both)][:2] == ["How far back", "Trained at each lag"]
    assert [view.id for view in views.existing([])] == [view.id for view in views.sweep_views([])]


def test_views_of_a_large_search_fit_into_a_tag() -> None:
    names = tuple(f"task.parameter_{n}" for n in range(20))
    labels = tuple(f"a rather long label of group {n}" for n in range(40))
    for view in views.search_views(views.SearchViews(names, (("skill_lag_80", True),), labels, labels)):
        assert len(views.packed(view.state([]))) < 4800


def test_links_open_the_view_in_training_mode() -> None:
    far, _, trials, _ = views.sweep_views([])
    start = "http://h:1/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey"
    assert descriptions.link("http://h:1/", "7", far) == f"{start}=farback-far&compareRunsMode=CHART"
    assert descriptions.link("http://h:1", "7", trials) == f"{start}=farback-trials&compareRunsMode=TABLE"


def test_no_server_is_started_for_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is recorded yet"):
        ui.serve(f"sqlite:///{tmp_path}/mlflow.db", "demo")


def test_a_server_that_does_not_answer_is_an_error() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UserError, match="does not answer") as caught:
        ui.serve(f"http://anna:hunter2@127.0.0.1:{port}")
    assert "hunter2" not in str(caught.value)


def test_a_taken_port_is_not_used() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert ui.free_port(port) != port


@pytest.mark.slow
def test_every_chart_by_lag_shows_a_metric_that_a_measure_logs() -> None:
    """A chart of a metric that no measure logs would be hidden for ever."""
    import numpy as np

    from farback import measures
    from farback.stores.chart_layout import BY_LAG
    from farback.training.replicas import initial_network

    made = trial(0)
    network = initial_network([made])
    for card in [card for section in BY_LAG for card in section.cards]:
        measure, statistic = card["metricKey"].split("/")
        rows = measures.build(measure).rows(network, made.task, [0], lambda: initial_network([made]))[0]
        values = [row.value for row in rows if row.statistic == statistic and row.lag >= 0]
        assert values, card["metricKey"]
        assert np.isfinite(values).any()


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["cell", "train_lags", "lag", "seed"]), st.sampled_from(["a", "b", "fixed"]))
    )
)
def test_covering_trials_give_the_same_views_as_all_trials(parameters: list[dict[str, str]]) -> None:
    few = views.covering(parameters)
    assert views.varying(few) == views.varying(parameters)
    for view in (*views.sweep_views([]), *views.sweep_views(["train_lags"])):
        assert view.state(few) == view.state(parameters)


def test_existing_views_are_not_computed_again(uri: str) -> None:
    one, two = trial(0, lag=10), trial(1, lag=20)
    with MLflow(uri) as store, store.begin("first", [one, two]):
        experiment = store.client.mlflow.get_experiment_by_name("first")

        def never() -> Iterator[dict[str, str]]:
            raise AssertionError("looked at the trials again")
            yield {}

        views.write_views(store.client.mlflow, experiment.experiment_id, [two.key, one.key], never())
        assert store.client.mlflow.get_experiment_by_name("first").tags == experiment.tags
        with pytest.raises(AssertionError, match="looked at the trials again"):
            views.write_views(store.client.mlflow, experiment.experiment_id, [two.key], never())
        store.client.mlflow.delete_experiment_tag(experiment.experiment_id, views.TAG + "farback-far")
        store.begin("first").close()  # a view that somebody took away comes back
        assert views.TAG + "farback-far" in store.client.mlflow.get_experiment_by_name("first").tags


def test_a_summary_shows_its_first_figure(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("report.md", "a curve.png", "forest.png")]
    shown = "![a curve](get-artifact?path=a+curve.png&run_uuid=abc)"
    assert descriptions.summary("**GRU**", "abc", files) == f"**GRU**\n\n{shown}\n"
    assert descriptions.summary("**GRU**", "abc", files[:1]) == "**GRU**"
    assert len(descriptions.summary("x" * 4880, "abc", files)) <= descriptions.NOTE_CHARACTERS
