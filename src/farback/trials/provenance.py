"""Records the provenance of a trial's result: versions, machine, device, process."""

from __future__ import annotations

import os

import torch

from farback.system import devices
from farback.system.provenance import PLUGINS, machine, versions
from farback.trials.trial import Trial


def provenance(trial: Trial, device: str = devices.CPU) -> dict[str, str]:
    """Provenance of a training in this process: device, versions, plug-in packages, machine, process, network size."""
    parts = (trial.task, trial.cell, trial.init, trial.encoder, trial.optimizer, trial.schedule, *trial.measures)
    packages = sorted({part.family.maker(part.name) for part in parts} - {""})
    return {
        **devices.provenance(device),
        **versions(),
        **({PLUGINS: ", ".join(packages)} if packages else {}),
        **machine(),
        "threads": str(torch.get_num_threads()),
        "pid": str(os.getpid()),
        **{name: str(count) for name, count in trial.architecture.counts.items()},
    }
