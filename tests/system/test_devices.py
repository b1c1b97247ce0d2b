"""Training elsewhere than on the processor: refused where it is not there; the same path, stepped, where it is.

No GPU is needed: what decides between the fused kernels and the path for other devices is replaced, so that the latter
computes on the processor.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import farback
from farback.experiment import ConfigError, Experiment
from farback.kernels import linear_layer
from farback.records.user_error import UserError
from farback.stores.memory import Memory
from farback.system import devices
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Finished, Progress
from farback.trials.trial import Trial

CONFIG = "name: small\nbase: {{task: recall, lag: 2, cell: gru, steps: 4}}\n{device}\n"


def config(folder: Path, device: str) -> Path:
    path = folder / "small.yaml"
    path.write_text(CONFIG.format(device=device))
    return path


@pytest.fixture
def elsewhere() -> Callable[[], AbstractContextManager[None]]:
    """A block in which every recurrence is stepped and every product torch's, as on a device without kernels."""

    @contextmanager
    def replaced() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("farback.kernels.unroll.on_cpu", lambda x: False)
            patched.setattr("farback.optimizers.adam.supported", lambda *tensors: False)
            patched.setattr("farback.optimizers.base.supported", lambda *tensors: False)
            patched.setattr(linear_layer, "DTYPES", ())  # so that every format is one of the others
            yield

    return replaced


SMALL = {"task": "recall", "lag": 6, "hidden": 8, "batch": 8, "steps": 40, "evaluate_every": 20, "stop": "never"}


def losses(**fields: Any) -> list[float]:
    """The curves of two replicas."""
    trials = [Trial.model_validate({**SMALL, **fields, "seed": seed}) for seed in range(2)]
    events = list(train(Cohort(tuple(trials))))
    assert sum(isinstance(event, Finished) for event in events) == 2
    return [event.metrics[name] for event in events if isinstance(event, Progress) for name in sorted(event.metrics)]


@pytest.mark.parametrize(
    ("cell", "depth"), [({"name": "elman", "nonlinearity": "relu"}, 1), ("gru", 2), ("lstm", 1), ("lru", 2)]
)
def test_the_path_for_other_devices_gives_the_same_curves_within_a_tolerance(
    elsewhere: Callable[[], AbstractContextManager[None]], cell: Any, depth: int
) -> None:
    """Curves of 40 updates in float32: within 1e-3 of each other, where one update agrees to 1e-6."""
    fused = losses(cell=cell, depth=depth)
    with elsewhere():
        stepped = losses(cell=cell, depth=depth)
    assert stepped == pytest.approx(fused, rel=1e-3, abs=1e-3)
    assert stepped != fused  # the other path was taken


@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
def test_a_missing_device_is_refused_by_name(tmp_path: Path, device: str) -> None:
    if torch.cuda.is_available() and device == "cuda":
        pytest.skip("there is one")
    path = config(tmp_path, f"device: {device}")
    with pytest.raises(UserError, match=rf"device is '{device}', which torch .* does not find; available: cpu"):
        farback.run(path, store=Memory())
    with pytest.raises(UserError, match="does not find"):
        farback.run(config(tmp_path, ""), store=Memory(), device=device)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "3:9: device: the device must be cpu, cuda, or cuda:0"),
        ("cuda:x", "3:9: device: the device must be cpu, cuda, or cuda:0"),
        ("3", "3:9: device: must be text, got 3"),
        ("[cpu]", "3:1: device: must be text"),
    ],
)
def test_a_text_that_names_no_device_is_refused_with_its_location(tmp_path: Path, device: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"small\.yaml:{message}"):
        Experiment.load(config(tmp_path, f"device: {device}"))


def test_the_device_is_in_no_key_and_reaches_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On `meta`, which every torch has, tensors have no numbers: training fails there, and nowhere else."""
    monkeypatch.setattr(devices, "checked", str)
    plain = Experiment.load(config(tmp_path, "")).trials()
    there = Experiment.load(config(tmp_path, "device: cuda:1"))
    assert [trial.key for trial in there.trials()] == [trial.key for trial in plain]
    assert there.device == "cuda:1"
    failed = farback.run(config(tmp_path, ""), store=Memory(), workers=1, device="meta")
    assert failed.failed == 1
    assert "meta" in failed.failures[0].traceback


def test_one_worker_for_a_gpu() -> None:
    assert devices.workers("cuda:1") == 1
    assert devices.workers("cpu") is None
