"""Plug-ins of other packages are used like farback's own; a broken one is reported and breaks nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_package import ENTRIES, installed
from typer.testing import CliRunner

from executors.cluster import Cluster
from farback import cells
from farback.cli import app
from farback.records.entry_points import PluginError, offers
from farback.records.record import UserError
from farback.stores.locations import default_uri
from farback.stores.mlflow import MLflow
from farback.system.provenance import PLUGINS

SRC = Path(__file__).parents[2] / "src"
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
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
sweep:
  - cell: [ema, elman]
    lag: [2]
    seed: {range: 2}
"""


@pytest.fixture
def farback(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command in a process of its own, with packages on its path: what a process has imported stays."""
    environment = {name: text for name, text in os.environ.items() if name != "MLFLOW_TRACKING_URI"}

    def typed(site: Path, *arguments: str, program: str = "-m farback.cli") -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(SRC), str(site), *environment.get("PYTHONPATH", "").split(os.pathsep)])
        command = [sys.executable, *program.split(" ", 1), *arguments]
        here = {**environment, "PYTHONPATH": path, "COLUMNS": "200"}
        return subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True, check=False)

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
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The command in this process, for what makes no trial: trials know the plug-ins of their process's start."""

    def typed(site: Path, *arguments: str) -> str:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(site))
            done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
        if done.exception:
            raise done.exception
        return done.output

    return typed


TRIALS = "-c from farback import Experiment; print(len(Experiment.load('configs/mine.yaml').trials()))"


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_plug_ins_of_every_kind_are_listed_with_their_package(
    kind: str, name: str, site: Path, here: Callable[..., str]
) -> None:
    found = {entry["name"]: entry for entry in json.loads(here(site, "list", kind, "--json"))}
    assert found[name]["package"] == "tiny-memory 0.1"
    assert found[name]["error"] == ""
    assert {entry["package"] for other, entry in found.items() if (kind, other) not in NAMES} == {""}


def test_one_is_shown_like_any_other(site: Path, here: Callable[..., str]) -> None:
    shown = here(site, "show", "cell", "ema", "--hidden", "4", "--inputs", "2")
    assert "h_t = 0.9 h_{t-1}" in shown
    assert "weight_hh" in shown
    assert "tiny-memory 0.1" in shown


def test_a_sweep_of_them_trains_in_a_pool_and_records_their_package(
    site: Path, config: Path, farback: Typed, empty_database: Path
) -> None:
    store = config.parents[1] / "results" / "store"
    store.mkdir(parents=True)
    shutil.copy(empty_database, store / "mlflow.db")
    done = farback(site, "run", "mine", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (config.parents[1] / "results" / "mine" / "report.md").exists()
    again = farback(site, "run", "mine", "--workers", "2", "--dry-run")
    assert "4 recorded already, 0 to train" in again.stdout
    with MLflow(default_uri(config.parents[1])) as opened:
        made = opened.provenance("mine").values()
    assert {each[PLUGINS] for each in made} == {"tiny-memory 0.1"}


def test_a_cell_of_another_package_keeps_its_identity_apart_from_one_that_may_be_shipped_later(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(site))
    cell = cells.build("ema")
    assert cell.digested() == {"version": 1, "package": "tiny_memory", "name": "ema"}
    assert "package" not in cells.build("lstm").digested()


def test_the_schema_completes_them(site: Path, config: Path, farback: Typed) -> None:
    assert farback(site, "schema").returncode == 0
    text = (config.parent / "schema.json").read_text()
    assert '"ema"' in text
    assert '"small"' in text


def test_a_typo_names_them(site: Path, config: Path, farback: Typed) -> None:
    config.write_text(CONFIG.replace("ema, elman", "emma, elman"))
    done = farback(site, "run", "mine", "--dry-run")
    assert done.returncode == 2
    assert "unknown cell 'emma'; did you mean 'ema'?" in done.stderr


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
    "an abstract class": ("gated", "farback.cells.base:GatedCell", "GatedCell lacks step"),
    "another name": ("average", "tiny_memory.ema:Ema", "Ema is called 'ema', after its file; rename one"),
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


def test_a_broken_one_breaks_no_other(tmp_path: Path, config: Path, farback: Typed, here: Callable[..., str]) -> None:
    broken = {"absent": "tiny_memory.absent:Absent"}
    site = installed(tmp_path / "site", {**ENTRIES, "farback.cells": {**ENTRIES["farback.cells"], **broken}})
    assert farback(site, program=TRIALS).stdout == "4\n"
    assert "No module named 'no_such_library'" in " ".join(here(site, "list", "cells").split())
    config.write_text(CONFIG.replace("ema, elman", "absent, elman"))
    done = farback(site, "run", "mine", "--dry-run")
    assert done.returncode == 2
    assert "mine.yaml:14:12: sweep[0].cell[0]: the cell 'absent' of tiny-memory 0.1" in done.stderr
    with pytest.raises(UserError, match=r"the cell 'absent' of tiny-memory 0\.1"):
        here(site, "show", "cell", "absent")


def test_a_name_of_farback_s_own_stays_farback_s(
    tmp_path: Path, config: Path, farback: Typed, here: Callable[..., str]
) -> None:
    site = installed(
        tmp_path / "site", {**ENTRIES, "farback.cells": {"ema": "tiny_memory.ema:Ema", "lstm": "tiny_memory.ema:Ema"}}
    )
    assert "torch.nn.LSTM" in here(site, "show", "cell", "lstm")
    done = farback(site, program=TRIALS)
    assert "the cell 'lstm' of tiny-memory 0.1 is not used: farback has one of that name" in done.stderr
    assert "is not used: farback has one of that name" in " ".join(here(site, "list", "cells").split())


def test_two_packages_with_one_name_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = installed(tmp_path / "site", ENTRIES)
    installed(site, {"farback.cells": {"ema": "tiny_memory.ema:Ema"}}, "other-memory", "2.0")
    monkeypatch.syspath_prepend(str(site))
    assert len(offers("farback.cells")["ema"]) == 2
    with pytest.raises(PluginError, match=r"offered by other-memory 2\.0 .* and tiny-memory 0\.1 .*: uninstall one"):
        cells.build("ema")
    assert "ema" in cells.FAMILY.broken()


def test_nothing_of_a_package_is_imported_before_it_is_asked_for(site: Path, farback: Typed) -> None:
    code = (
        "import sys; from farback import cells; cells.names(); cells.build('lstm'); print('tiny_memory' in sys.modules)"
    )
    assert farback(site, program=f"-c {code}").stdout == "False\n"


@pytest.mark.slow
def test_a_sweep_of_them_trains_on_a_dask_cluster(site: Path, config: Path, tmp_path: Path, farback: Typed) -> None:
    with Cluster(tmp_path, workers=0) as cluster:
        cluster.join(PYTHONPATH=os.pathsep.join([str(SRC), str(site)]))
        done = farback(site, "run", "mine", "--executor", "dask", "--address", cluster.address)
        assert done.returncode == 0, done.stdout + done.stderr + cluster.output()
    assert "4 trials to train" in done.stdout


def test_nodes_of_a_cluster_are_compared_by_the_package(site: Path, farback: Typed) -> None:
    """So that a node without it, or with another version, is refused."""
    code = "from farback.executors.compatibility import VERSIONS, likeness; print(likeness()[VERSIONS[-1]])"
    assert farback(site, program=f"-c {code}").stdout == "tiny-memory 0.1\n"


@pytest.mark.slow
def test_the_laws_of_the_checkout_hold_a_package_s_cell(site: Path, farback: Typed) -> None:
    """As docs/plug-ins.md says: the law tests run over all that is installed."""
    laws = Path(__file__).parents[1] / "cells" / "test_cell_laws.py"
    done = farback(site, str(laws), "-k", "ema and not antisymmetric", "-p", "no:xdist", program="-m pytest")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
