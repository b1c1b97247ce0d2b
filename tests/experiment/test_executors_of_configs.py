"""The executor in a config and in command-line options."""

from __future__ import annotations

from pathlib import Path

import pytest

from farback.executors import Pool, Serial, chosen_placement, open_executor
from farback.experiment import ConfigError, Experiment
from farback.records.execution import Placement
from farback.records.user_error import UserError

HEAD = "name: small\nbase: {task: recall, lag: 2, cell: elman, hidden: 4}\n"
DASK = Placement(name="dask", address="tcp://10.0.0.1:8786")


def loaded(folder: Path, executor: str) -> Experiment:
    path = folder / "small.yaml"
    path.write_text(HEAD + executor)
    return Experiment.load(path)


@pytest.mark.parametrize(
    ("written", "placement"),
    [
        ("", None),
        ("executor: serial", Placement(name="serial")),
        ("executor: {name: pool, workers: 3}", Placement(workers=3)),
        ("executor: {name: dask, address: 'tcp://10.0.0.1:8786'}", DASK),
        ("executor: {name: dask, address: 'tcp://[::1]:8786'}", Placement(name="dask", address="tcp://[::1]:8786")),
    ],
)
def test_a_config_names_an_executor(tmp_path: Path, written: str, placement: Placement | None) -> None:
    assert loaded(tmp_path, written).executor == placement


def test_the_executor_changes_no_trial_key(tmp_path: Path) -> None:
    texts = ["", "executor: serial", "executor: {name: dask, address: 'tcp://10.0.0.1:8786'}"]
    keys = [[trial.key for trial in loaded(tmp_path, text).trials()] for text in texts]
    assert keys[0] == keys[1] == keys[2]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("executor: dusk", "small.yaml:3:11: executor: unknown executor 'dusk'; did you mean 'dask'?"),
        ("executor: [dask]", "small.yaml:3:1: executor: must be a mapping"),
        ("executor: dask", "small.yaml:3:11: executor: dask needs the address of its scheduler"),
        ("executor: {name: pool, workers: 0}", "small.yaml:3:33: executor.workers: must be at least 1, got 0"),
        ("executor: {name: pool, wrokers: 2}", "executor.wrokers: unknown key 'wrokers'; did you mean 'workers'"),
        ("executor: {name: dask, address: 'tcp://me:word@host:1'}", "an address must not contain a user or a password"),
        ("executor: {name: dask, address: 'http://host:1'}", "the address must be tcp://HOST:PORT"),
        ("executor: {name: dask, address: 'tcp://h:1', workers: 2}", "workers is an option of pool"),
        ("executor: {address: 'tcp://h:1'}", "address is an option of dask, not of pool"),
        ("executor: {name: dask, address: 'tcp://h:1', tls: {ca: a, cert: b, key: c}}", "begins with tls://"),
        ("executor: {name: dask, address: 'tls://h:1', tls: {ca: a, cert: b}}", "executor.tls.key: is missing"),
        ("executor: {name: serial, workers: 2}", "serial trains in this process only"),
    ],
)
def test_a_mistake_is_an_error_with_its_position(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, written)
    assert said in str(caught.value)
    assert "word@" not in str(caught.value)


def test_options_win_over_the_config() -> None:
    assert chosen_placement(DASK) == DASK
    assert chosen_placement() == Placement()
    assert chosen_placement(DASK, workers=2) == Placement(workers=2)
    assert chosen_placement(DASK, name="serial") == Placement(name="serial")
    assert chosen_placement(DASK, name="dask") == DASK
    assert chosen_placement(None, address="tcp://10.0.0.1:8786") == DASK
    assert chosen_placement(Placement(workers=3), "dask", "tcp://10.0.0.1:8786") == DASK


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("dask", None, None), "--executor dask: dask needs the address"),
        (("pool", "tcp://h:1", None), "--executor pool: address is an option of dask"),
        (("dusk", None, None), "--executor dusk: must be 'serial', 'pool' or 'dask'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(asked: tuple[str, str | None, int | None], said: str) -> None:
    with pytest.raises(UserError, match=said):
        chosen_placement(None, *asked)


def test_a_placement_becomes_an_executor() -> None:
    assert isinstance(open_executor(Placement(name="serial")), Serial)
    assert isinstance(open_executor(Placement(workers=1)), Serial)
    with open_executor(Placement(workers=3)) as executor:
        assert isinstance(executor, Pool)
        assert executor.size == 3


def test_a_missing_certificate_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    tls = {"ca": "ca.pem", "cert": "own.pem", "key": "own.key"}
    placement = Placement.model_validate({"name": "dask", "address": "tls://h:1", "tls": tls})
    with pytest.raises(UserError, match=r"executor.tls.cert: there is no file '.*own.pem'"):
        open_executor(placement, tmp_path)
