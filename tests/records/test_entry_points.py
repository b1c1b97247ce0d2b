"""Plug-ins of other packages work like farback's own; a broken one is reported and does not affect the others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_package import ENTRIES, installed
from typer.testing import CliRunner

from executors.cluster import Cluster
from farback import cells
from farback.cli import app
from farback.records.entry_points import PluginError, offers
from farback.records.user_error import UserError
from farback.stores.locations import default_uri
from farback.stores.mlflow import MLflow
from farback.system.provenance import PLUGINS

SRC = Path(__file__).parents[2] / "src"
TESTS = Path(__file__).parents[1]
Typed = Callable[..., subprocess.CompletedProcess[str]]
NAMES = [(group.removeprefix("farback."), name) for group, own in ENTRIES.items() for name in own]

CONFIG = """\
name: mine
question: Does a cell of another package train?
base:
  task: near
  measures: [retention, last]
  init: small
  encoder: doubled
  optimizer: plain
  schedule: sudden
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
sweep:
  - cell: [ema, elman]
    lag: [2]
    seed: {range: 2}
"""

# A process imports a package only once, so everything that makes trials of a package's plug-ins runs in this script.
SCRIPT = """
import json, sys
from pathlib import Path
from farback import cells
cells.names(), cells.build("lstm")
found = {"imported before use": "tiny_memory" in sys.modules}
import farback
from farback import ConfigError, Experiment
from farback.executors.compatibility import VERSIONS, environment
from farback.experiment import schema
from farback.stores.memory import Memory
def error(old, new):
    path = Path("configs/mine.yaml")
    text = path.read_text()
    path.write_text(text.replace(old, new))
    try:
        return str(Experiment.load(path).trials())
    except ConfigError as wrong:
        return str(wrong)
    finally:
        path.write_text(text)
store = Memory()
found["failed"] = farback.run(Experiment.load("configs/mine.yaml"), workers=1, store=store).failed
found["packages"] = [made.get("PLUGINS") for made in store.provenance("mine").values()]
found["schema"] = json.dumps(schema())
found["typing error"] = error("ema, elman", "emma, elman")
found["broken"] = error("ema, elman", "absent, elman")
found["versions"] = environment()[VERSIONS[-1]]
print(json.dumps(found))
"""


def environment(site: Path) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    path = os.pathsep.join([str(SRC), str(site), str(TESTS), *own.get("PYTHONPATH", "").split(os.pathsep)])
    return {**own, "PYTHONPATH": path, "COLUMNS": "200"}


@pytest.fixture
def farback(tmp_path: Path) -> Typed:
    """A function that runs the command in a new process, with packages on its path."""

    def typed(site: Path, *arguments: str, program: str = "farback.cli") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", program, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment(site), capture_output=True, text=True, check=False)

    return typed


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return installed(tmp_path / "site", ENTRIES)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "configs" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A function that runs the command in this process, for commands that make no trials."""

    def typed(site: Path, *arguments: str) -> str:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(site))
            done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
        if done.exception:
            raise done.exception
        return done.output

    return typed


@pytest.fixture(scope="module")
def in_new_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `SCRIPT` prints, with a package that also has a broken plug-in and one with the name of a farback cell."""
    folder = tmp_path_factory.mktemp("project")
    more = {"absent": "tiny_memory.absent:Absent", "lstm": "tiny_memory.ema:Ema"}
    site = installed(folder / "site", {**ENTRIES, "farback.cells": {**ENTRIES["farback.cells"], **more}})
    (folder / "configs").mkdir()
    (folder / "configs" / "mine.yaml").write_text(CONFIG)
    code = SCRIPT.replace("PLUGINS", PLUGINS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(site), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "stderr": done.stderr}


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_plug_ins_of_every_kind_are_listed_with_their_package(
    kind: str, name: str, site: Path, command: Callable[..., str]
) -> None:
    listed = {entry["name"]: entry for entry in json.loads(command(site, "list", kind, "--json"))}
    assert listed[name]["package"] == "tiny-memory 0.1"
    assert listed[name]["error"] == ""
    assert {entry["package"] for other, entry in listed.items() if (kind, other) not in NAMES} == {""}


def test_a_plug_in_is_shown_like_any_other(site: Path, command: Callable[..., str]) -> None:
    shown = command(site, "show", "cell", "ema", "--hidden", "4", "--inputs", "2")
    assert "h_t = 0.9 h_{t-1}" in shown
    assert "weight_hh" in shown
    assert "tiny-memory 0.1" in shown


@pytest.mark.slow
def test_a_sweep_of_them_trains_and_records_their_package(in_new_process: dict[str, Any]) -> None:
    assert in_new_process["failed"] == 0
    assert in_new_process["packages"] == ["tiny-memory 0.1"] * 4


@pytest.mark.slow
def test_a_package_is_not_imported_before_it_is_used(in_new_process: dict[str, Any]) -> None:
    assert not in_new_process["imported before use"]


@pytest.mark.slow
def test_the_schema_contains_them(in_new_process: dict[str, Any]) -> None:
    assert '"ema"' in in_new_process["schema"]
    assert '"small"' in in_new_process["schema"]


@pytest.mark.slow
def test_a_typing_error_names_them(in_new_process: dict[str, Any]) -> None:
    assert "unknown cell 'emma'; did you mean 'ema'?" in in_new_process["typing error"]


@pytest.mark.slow
def test_nodes_of_a_cluster_are_compared_by_the_package(in_new_process: dict[str, Any]) -> None:
    """So that a node without the package, or with another version, is refused."""
    assert in_new_process["versions"] == "tiny-memory 0.1"


@pytest.mark.slow
def test_a_sweep_of_them_trains_in_a_pool(site: Path, config: Path, farback: Typed, empty_database: Path) -> None:
    store = config.parents[1] / "results" / "store"
    store.mkdir(parents=True)
    shutil.copy(empty_database, store / "mlflow.db")
    done = farback(site, "run", "mine", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (config.parents[1] / "results" / "mine" / "report.md").exists()
    again = farback(site, "run", "mine", "--workers", "2", "--dry-run")
    assert "4 trials recorded already, 0 to train" in again.stdout
    with MLflow(default_uri(config.parents[1])) as opened:
        made = opened.provenance("mine").values()
    assert {each[PLUGINS] for each in made} == {"tiny-memory 0.1"}


def test_the_identity_of_a_plug_in_contains_its_package(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it differs from a cell of that name that farback may get later."""
    monkeypatch.syspath_prepend(str(site))
    cell = cells.build("ema")
    assert cell.digested() == {"version": 1, "package": "tiny_memory", "name": "ema"}
    assert "package" not in cells.build("lstm").digested()


# What is wrong with a package ------------------------------------------------------------------------------------

BROKEN = {
    "an import that fails": ("absent", "tiny_memory.absent:Absent", "No module named 'no_such_library'"),
    "a module that is not there": ("gone", "tiny_memory.gone:Gone", "No module named 'tiny_memory.gone'"),
    "a class that is not there": ("ema", "tiny_memory.ema:Emma", "no attribute 'Emma'"),
    "a class of another kind": (
        "near",
        "tiny_memory.tasks:Near",
        "extends farback.cells.base.Cell, not the class Near",
    ),
    "no class at all": ("ema", "tiny_memory.ema", "extends farback.cells.base.Cell, not a module"),
    "an abstract class": ("gated", "farback.cells.base:GatedCell", "GatedCell does not define step"),
    "another name": ("average", "tiny_memory.ema:Ema", "Ema is called 'ema', after its file: rename the file"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_error_of_a_broken_one_names_its_package(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, value, reason = BROKEN[what]
    monkeypatch.syspath_prepend(str(installed(tmp_path / "site", {"farback.cells": {name: value}})))
    assert name in cells.names()
    with pytest.raises(PluginError) as failed:
        cells.build(name)
    assert f"the cell '{name}' of tiny-memory 0.1 ({value}) cannot be used: " in str(failed.value)
    assert reason in str(failed.value)
    assert cells.FAMILY.broken() == {name: str(failed.value)}
    assert name not in {member.model_fields["name"].default for member in cells.FAMILY.members()}


@pytest.mark.slow
def test_a_broken_one_does_not_affect_the_others(
    tmp_path: Path, in_new_process: dict[str, Any], command: Callable[..., str]
) -> None:
    site = installed(tmp_path / "site", {**ENTRIES, "farback.cells": {"absent": "tiny_memory.absent:Absent"}})
    assert "No module named 'no_such_library'" in " ".join(command(site, "list", "cells").split())
    line = "mine.yaml:15:12: sweep[0].cell[0]: the cell 'absent' of tiny-memory 0.1"
    assert line in in_new_process["broken"]
    with pytest.raises(UserError, match=r"the cell 'absent' of tiny-memory 0\.1"):
        command(site, "show", "cell", "absent")


@pytest.mark.slow
def test_farback_s_own_component_wins_over_a_plug_in_of_the_same_name(
    tmp_path: Path, in_new_process: dict[str, Any], command: Callable[..., str]
) -> None:
    site = installed(tmp_path / "site", {**ENTRIES, "farback.cells": {"lstm": "tiny_memory.ema:Ema"}})
    assert "torch.nn.LSTM" in command(site, "show", "cell", "lstm")
    warning = "the cell 'lstm' of tiny-memory 0.1 is not used: farback has one of that name"
    assert warning in in_new_process["stderr"]
    assert "is not used, because farback has a component" in " ".join(command(site, "list", "cells").split())


def test_two_packages_that_offer_one_name_are_both_named_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = installed(tmp_path / "site", ENTRIES)
    installed(site, {"farback.cells": {"ema": "tiny_memory.ema:Ema"}}, "other-memory", "2.0")
    monkeypatch.syspath_prepend(str(site))
    assert len(offers("farback.cells")["ema"]) == 2
    with pytest.raises(PluginError, match=r"offered by other-memory 2\.0 .* and tiny-memory 0\.1 .*: uninstall one"):
        cells.build("ema")
    assert "ema" in cells.FAMILY.broken()


@pytest.mark.slow
def test_a_sweep_of_them_trains_on_a_dask_cluster(site: Path, config: Path, tmp_path: Path, farback: Typed) -> None:
    with Cluster(tmp_path, workers=0) as cluster:
        cluster.start_worker(PYTHONPATH=os.pathsep.join([str(SRC), str(site)]))
        done = farback(site, "run", "mine", "--executor", "dask", "--address", cluster.address)
        assert done.returncode == 0, done.stdout + done.stderr + cluster.output()
    assert "4 trials to train" in done.stdout


@pytest.mark.slow
def test_the_law_tests_cover_a_cell_of_a_package(site: Path, farback: Typed) -> None:
    """As docs/plug-ins.md says: the law tests run over all that is installed."""
    laws = Path(__file__).parents[1] / "cells" / "test_cell_laws.py"
    done = farback(site, str(laws), "-k", "ema and not antisymmetric", "-p", "no:xdist", program="pytest")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
