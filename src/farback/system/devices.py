"""Where cohorts train: the processor, or a GPU that torch can use. No part of any trial's identity."""

from __future__ import annotations

import re

import torch

from farback.records.record import UserError

CPU = "cpu"
FORM = r"cpu|cuda(:[0-9]{1,3})?"
ALLOWED = "cpu, cuda, or cuda:0, cuda:1 and so on"


def checked(device: str) -> str:
    """The device, if it is there.

    Raises:
        UserError: it is not, or is no device.
    """
    if not re.fullmatch(FORM, device):
        raise UserError(f"device is {device!r}; it must be {ALLOWED}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device != CPU and int(device.partition(":")[2] or 0) >= count:
        there = ", ".join([CPU, *(f"cuda:{number}" for number in range(count))])
        raise UserError(f"device is {device!r}, which torch {torch.__version__} does not see here; there is {there}")
    return device


def workers(device: str) -> int | None:
    """How many processes share a device by default: one a GPU, which cohorts fill; None is for the executor to say."""
    return None if device == CPU else 1


def made(device: str) -> dict[str, str]:
    """What a result's provenance says of a device: nothing of the processor, which it says anyway."""
    return {} if device == CPU else {"device": torch.cuda.get_device_name(torch.device(device))}
