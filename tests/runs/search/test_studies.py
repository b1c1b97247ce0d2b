"""Taken trials and their parameters, without training: every sampler, conditions, dead processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import optuna
import pandas as pd
import pytest
from small_search import SMALL, Small

from farback.cli.dashboard import addresses, listening
from farback.experiment import Search
from farback.records.user_error import UserError
from farback.runs.search import history
from farback.runs.search.budget import duplicates, lacking, slots
from farback.runs.search.study import GroupStudy
from farback.stores.studies import Storage, located, opened
from some import one_in, some

CONDITIONAL = (
    SMALL.replace(
        "    clip: [1.0, null]\n",
        "    clip: [1.0, null]\n    optimizer: [adam, {name: sgd}]\n"
        "    optimizer.momentum: {float: [0.0, 0.9], step: 0.3, when: {optimizer.name: sgd}}\n",
    )
    .replace("  groups: {cell: [elman, memoryless]}\n", "")
    .replace("  lag: 2\n", "  lag: 2\n  cell: elman\n")
)


def study(search: Search, storage: Storage | None = None, total: int = 12) -> GroupStudy:
    return GroupStudy(search, search.groups[0], storage or opened(located(None, search.root)), total)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random", "nsga2"])
def test_every_sampler_stays_within_the_space(
    small: Small, sampler: str, global_generators_untouched: Callable[[], AbstractContextManager[None]]
) -> None:
    own = study(small(f"search.sampler={sampler}"))
    for _ in range(3):
        with global_generators_untouched():
            taken = own.take(4)
        for one in taken:
            assert 1e-3 <= one.values["optimizer.lr"] <= 1e-1
            assert one.values["hidden"] in (2, 3, 4)
            assert one.values["clip"] in (1.0, None)
            own.complete(one, [one.values["optimizer.lr"]])
    assert own.take(4) == []
    assert own.unfinished() == 0


@pytest.mark.parametrize("sampler", some(["tpe", "random", "nsga2"], one_in(3)))
def test_the_same_seed_gives_the_same_parameters_also_after_a_resume(
    small: Small, sampler: str, tmp_path: Path, empty_studies: Path
) -> None:
    tables = []
    for restart in (False, True):
        experiment = small(f"search.sampler={{name: {sampler}, seed: 7}}")
        uri = f"sqlite:///{shutil.copy(empty_studies, tmp_path / f'{restart}.db')}"
        own = study(experiment, opened(uri))
        for _ in range(4):
            own = study(experiment, opened(uri)) if restart else own
            for one in own.take(3):
                own.complete(one, [one.values["optimizer.lr"]])
        tables.append(history(experiment, uri).drop(columns=["started", "seconds"]))
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert tables[0]["param.optimizer.lr"].nunique() > 2  # nsga2 may keep a value of a parent


def test_a_grid_visits_every_point_once(small: Small) -> None:
    own = study(small("search.sampler=grid", "optimizer.lr=[1e-3, 1e-2]", "search.trials=12"))
    taken = own.take(12)
    assert len({tuple(one.values.items()) for one in taken}) == len(taken) == 12
    with pytest.raises(UserError, match="has 12 points, fewer than the 13 trials"):
        study(own.search, total=13)


@pytest.mark.parametrize("sampler", ["tpe", "random", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_condition_decides_whether_a_parameter_is_there(small: Small, sampler: str) -> None:
    experiment = small(f"search.sampler={sampler}", text=CONDITIONAL)
    own = study(experiment)
    for _ in range(3):
        for one in own.take(4):
            assert ("optimizer.momentum" in one.values) == (one.values["optimizer"] == "sgd")
            trial = own.search.trial(own.group, one.values, 0)
            assert trial.optimizer.name == one.values["optimizer"]
            assert trial.parameters().get("optimizer.momentum") == one.values.get("optimizer.momentum")
            assert trial.optimizer.lr == one.values["optimizer.lr"]
            own.complete(one, [0.5])
    assert set(history(experiment)["param.optimizer"]) == {"adam", "sgd"}


def test_a_trial_is_taken_once(small: Small) -> None:
    experiment = small()
    storage = opened(located(None, experiment.root))
    first, second = study(experiment, storage), study(experiment, storage)
    numbers = [one.number for _ in range(3) for own in (first, second) for one in own.take(2)]
    assert sorted(numbers) == list(range(12))


def test_trials_of_a_dead_process_are_tried_again_and_those_of_a_living_one_are_not(small: Small) -> None:
    experiment = small()
    storage = opened(located(None, experiment.root))
    dead = study(experiment, storage, total=2)
    dead.process = f"{dead.process.rsplit(':', 2)[0]}:999999999:1.00"
    (lost,) = dead.take(1)
    alive = study(experiment, storage, total=2)
    (again,) = alive.take(1)
    assert (again.slot, again.values) == (lost.slot, lost.values)
    (other,) = study(experiment, storage, total=2).take(2)
    assert other.slot != again.slot
    assert not dead.complete(lost, [1.0])  # it comes too late
    assert alive.complete(again, [0.5])
    table = history(experiment).set_index("number")
    assert table.loc[[lost.number, again.number, other.number], "state"].tolist() == ["failed", "complete", "running"]


def test_a_trial_of_another_machine_is_abandoned_when_its_heartbeat_stops(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small()
    storage = opened(located(None, experiment.root))
    far = study(experiment, storage, total=1)
    far.process = "elsewhere:1:1.00"
    (taken,) = far.take(1)
    here = study(experiment, storage, total=1)
    now = 0.0
    monkeypatch.setattr("farback.runs.search.study.time.monotonic", lambda: now)
    for beat in range(3):
        far.note(taken.id, heartbeat=beat)
        assert here.take(1) == []
        now += 80
    now += 80
    assert [again.values for again in here.take(1)] == [taken.values]


def test_of_trials_made_twice_one_counts(small: Small) -> None:
    """What two machines may do at once on a database server: the lower number counts."""
    own = study(small(), total=2)
    own.take(0)
    for missing in lacking([], 2):
        own.study.enqueue_trial(**missing)
    assert [slot.last.number for slot in slots(own.trials()) if slot.last] == [0, 1]
    assert [trial.number for trial in duplicates(own.trials())] == [2, 3]
    assert [one.number for one in own.take(9)] == [0, 1]
    assert [trial.state.name for trial in own.trials()] == ["RUNNING", "RUNNING", "FAIL", "FAIL"]
    assert history(own.search)["counted"].sum() == 0


@pytest.mark.slow
def test_a_storage_is_a_database_of_its_own(tmp_path: Path, empty_database: Path, small: Small) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    with pytest.raises(UserError, match="belongs to MLflow, and Optuna needs its own; nothing was changed"):
        opened(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(UserError, match="sqlite:///FILE or another database"):
        located("results/optuna.db", tmp_path)
    with pytest.raises(UserError, match="cannot be used: it does not answer") as caught:
        opened("postgresql://user:secret@127.0.0.1:1/studies", retry_seconds=0.0)
    assert "secret" not in str(caught.value)
    assert history(small()).empty


def test_the_dashboard_serves_the_study_to_this_machine_only(small: Small) -> None:
    import threading
    import urllib.error
    import urllib.request

    experiment = small()
    own = study(experiment)
    for one in own.take(3):
        own.complete(one, [0.5])
    ((name, page),) = addresses(own.storage, "small")
    assert name == "small/RNN tanh"
    with pytest.raises(UserError, match="it has: small/RNN tanh"):
        addresses(own.storage, "other")
    server, _ = listening(own.storage, 8080)
    assert server.server_address[0] == "127.0.0.1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(base + page) as answer:
            assert "html" in answer.headers["Content-Type"]
        with urllib.request.urlopen(f"{base}/api/studies/{page.rpartition('/')[2]}?after=0") as answer:
            assert b"optimizer.lr" in answer.read()
        for header in ({"Host": "elsewhere.org"}, {"Origin": "http://elsewhere.org"}):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(urllib.request.Request(f"{base}/api/studies", headers=header))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.slow
def test_plain_optuna_can_plot_a_study(small: Small) -> None:
    import warnings

    import matplotlib as mpl

    mpl.use("agg")
    experiment = small()
    own = study(experiment, total=6)
    for one in own.take(6):
        own.complete(one, [one.values["optimizer.lr"]])
    loaded = optuna.load_study(study_name="small/RNN tanh", storage=located(None, experiment.root))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for draw in ("optimization_history", "slice", "parallel_coordinate", "param_importances", "timeline", "edf"):
            axes = getattr(optuna.visualization.matplotlib, f"plot_{draw}")(loaded)
            assert axes is not None
