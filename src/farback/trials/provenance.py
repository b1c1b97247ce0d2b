"""Records the provenance of a trial's result: versions, machine, device, process."""

from __future__ import annotations

import os

import torch

from farback.system import devices
from farback.system.provenance import OWN_FILES, PLUGINS, machine, versions
from farback.trials.trial import Trial


def provenance(trial: Trial, device: str = devices.CPU) -> dict[str, str]:
    """Provenance of a training in this process: device, versions, plug-ins, machine, process, network size."""
    parts = trial.components
    packages = sorted({part.family.maker(part.name) for part in parts if part.own_file is None} - {""})
    files = sorted({f"{file.name} {file.digest}" for part in parts if (file := part.used_file) is not None})
    return {
        **devices.provenance(device),
        **versions(),
        **({PLUGINS: ", ".join(packages)} if packages else {}),
        **({OWN_FILES: ", ".join(files)} if files else {}),
        **machine(),
        "threads": str(torch.get_num_threads()),
        "pid": str(os.getpid()),
        **{name: str(count) for name, count in trial.architecture.counts.items()},
    }
