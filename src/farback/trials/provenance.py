"""What made a trial's result: versions, machine, device, process."""

from __future__ import annotations

import os

import torch

from farback.system import devices
from farback.system.provenance import PLUGINS, machine, versions
from farback.trials.trial import Trial


def provenance(trial: Trial, device: str = devices.CPU) -> dict[str, str]:
    """What made a trial's result, as of now and of this process; and the network's size."""
    return {
        **devices.made(device),
        **versions(),
        **brought(trial),
        **machine(),
        "threads": str(torch.get_num_threads()),
        "pid": str(os.getpid()),
        **{name: str(count) for name, count in trial.architecture.counts.items()},
    }


def brought(trial: Trial) -> dict[str, str]:
    """The other packages that brought a trial's task, cell, init, encoder or measures, with their versions."""
    parts = (trial.task, trial.cell, trial.init, trial.encoder, trial.optimizer, *trial.measures)
    makers = sorted({part.family.maker(part.name) for part in parts} - {""})
    return {PLUGINS: ", ".join(makers)} if makers else {}
