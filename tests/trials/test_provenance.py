"""The provenance of a result."""

import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy
import pytest
import scipy
import torch
from llvmlite import binding

from farback.system.provenance import DECIDING, PLUGINS, VERSIONS, deciding, machine, versions
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Finished
from farback.trials.provenance import provenance
from farback.trials.trial import Trial

Make = Callable[..., Trial]


def test_versions_are_those_of_the_imported_packages() -> None:
    assert versions() == {
        "farback": version("farback"),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "numba": version("numba"),
        "python": platform.python_version(),
        "mlflow": version("mlflow"),
    }
    assert set(VERSIONS) == versions().keys() - {"mlflow"}  # which records numbers and decides none


def test_provenance_contains_everything_that_affects_the_bits_of_a_result(trial_of: Make) -> None:
    (made,) = [event.result.provenance for event in train(Cohort.of(trial_of())) if isinstance(event, Finished)]
    assert set(DECIDING) - {"device", PLUGINS} <= set(made)  # these two: only of a GPU and of other packages' plug-ins
    assert "" not in made.values()
    assert made["threads"] == "1"  # while it trained, whatever the process has otherwise
    assert made["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert made["cpu_target"] == binding.get_host_cpu_name()
    assert "openblas" in made["blas"]
    assert (made["pid"], "pid" in deciding(made)) == (str(os.getpid()), False)


@pytest.mark.slow
def test_another_process_has_the_same_key_and_the_same_provenance(trial_of: Make) -> None:
    """Hash randomisation and the order of imports must not matter: the store looks trials up by key."""
    trial = trial_of()
    code = (
        "import json, sys; from farback.trials.trial import Trial; from farback.trials.provenance import provenance; "
        "trial = Trial.model_validate_json(sys.argv[1]); print(json.dumps([trial.key, provenance(trial)]))"
    )
    command, environment = [sys.executable, "-c", code, trial.model_dump_json()], {"PYTHONHASHSEED": "12345"}
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True, text=True)
    key, made = json.loads(done.stdout)
    assert key == trial.key
    own = provenance(trial)
    assert {name for name in own if own[name] != made[name]} <= {"pid", "threads"}


def test_provenance_contains_no_host_folder_or_user_name() -> None:
    text = " ".join([*versions().values(), *machine().values()])
    for name in (socket.gethostname(), str(Path.home()), str(Path.cwd()), os.environ.get("USER") or "/"):
        assert name not in text


def test_the_digest_of_processor_features_ignores_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from farback.system.provenance import processor

    class Features:
        def __init__(self, text: str) -> None:
            self.flatten = lambda: text

    digests = []
    for text in ("+avx2,+fma", "+fma,+avx2", "+avx2,-fma"):
        monkeypatch.setattr(binding, "get_host_cpu_features", lambda text=text: Features(text))
        digests.append(processor()[1])
    assert digests[0] == digests[1] != digests[2]
