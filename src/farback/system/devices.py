"""Devices on which cohorts train: the CPU or a GPU. The device is not part of a trial's key."""

from __future__ import annotations

import re

import torch

from farback.records.user_error import UserError

CPU = "cpu"
FORM = r"cpu|cuda(:[0-9]{1,3})?"
ALLOWED = "cpu, cuda, or cuda:0, cuda:1 and so on"


def checked(device: str) -> str:
    """The device, if torch can use it. Raises UserError: torch cannot use it, or it is not a device."""
    if not re.fullmatch(FORM, device):
        raise UserError(f"device is {device!r}; it must be {ALLOWED}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device != CPU and int(device.partition(":")[2] or 0) >= count:
        available = ", ".join([CPU, *(f"cuda:{number}" for number in range(count))])
        raise UserError(f"device is {device!r}, which torch {torch.__version__} does not find; available: {available}")
    return device


def workers(device: str) -> int | None:
    """The default number of worker processes: 1 on a GPU, because a cohort fills it; None means one per CPU core."""
    return None if device == CPU else 1


def provenance(device: str) -> dict[str, str]:
    """The device in a result's provenance: the name of a GPU; empty for the CPU, which `machine` records."""
    return {} if device == CPU else {"device": torch.cuda.get_device_name(torch.device(device))}
