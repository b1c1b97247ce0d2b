"""Every sweep that a config accepts ends in a page; every other one is refused before anything is trained."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from drawn_sweeps import AXES, drawn

from farback.cli import main
from farback.experiment import ConfigError, Experiment
from farback.runs import trial_checks
from farback.stores import open_store
from some import some

FIRST = ("lag", "measures")  # an axis of each of these runs in `make test`
QUICK = {next(at for at, axis in enumerate(AXES) if axis.path == path) for path in FIRST}


@pytest.fixture(scope="module")
def root(tmp_path_factory, empty_database):
    folder = tmp_path_factory.mktemp("project")
    (folder / "results" / "store").mkdir(parents=True)
    shutil.copy(empty_database, folder / "results" / "store" / "mlflow.db")
    (folder / "configs").mkdir()
    return folder


@pytest.fixture
def farback(root, monkeypatch, capsys):
    """The command line in this process: the exit code, and what was printed; an exception is not caught."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def typed(*arguments):
        monkeypatch.setattr(sys, "argv", ["farback", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out + printed.err

    return typed


def accepted_draw(axis):
    """The first drawn sweep over an axis that its config accepts, or the last one and the reason of its refusal."""
    for seed in range(20):
        path = Path("configs") / "drawn.yaml"
        path.write_text(json.dumps({"name": "drawn", **drawn(axis, seed)}))
        try:
            experiment = Experiment.load(path)
            trial_checks.check(experiment)
        except ConfigError as error:
            reason = error
        else:
            return experiment, None
    return path, reason


@pytest.mark.parametrize("axis", some(AXES, lambda at, _: at in QUICK), ids=str)
def test_a_sweep_ends_in_a_page_or_is_refused_before_training(axis, farback):
    found, reason = accepted_draw(axis)
    name = f"drawn{AXES.index(axis)}"
    config = Path("configs") / f"{name}.yaml"
    text = Path("configs/drawn.yaml").read_text()
    config.write_text(text.replace('"drawn"', f'"{name}"'))
    code, printed = farback("run", str(config), "--workers", "1")
    assert "Traceback" not in printed
    results = Path("results") / name
    if reason:
        assert code == 2, printed
        assert not results.exists()
        return
    assert code == 0, f"{text}\n{printed}"
    first = {path.name: path.read_bytes() for path in results.iterdir()}
    page = first["report.md"].decode()
    assert not [line for line in page.splitlines() if line.startswith("|") and ("nan" in line or "None" in line)]
    with open_store(None, Path.cwd()) as store:
        recorded = store.frame(name)
    assert recorded["key"].nunique() >= len({trial.key for trial in found.trials() if not trial.chosen})
    assert summary_runs(name) == 1
    code, printed = farback("report", str(config))
    assert code == 0, printed
    assert {path.name: path.read_bytes() for path in results.iterdir()} == first


def summary_runs(name):
    """How many summary runs MLflow has of an experiment."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{Path('results/store/mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'summary'")
    return len(runs)


def test_draws_cover_every_field_of_every_component():
    paths = pd.Series([axis.path for axis in AXES])
    assert {"optimizer.beta2", "task.filler", "cell.nonlinearity", "init.gain", "encoder.channels"} <= set(paths)
    assert (paths == "measures").sum() > 60
