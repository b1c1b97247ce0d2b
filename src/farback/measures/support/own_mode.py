"""Measures run in a mode of their own, whatever mode of PyTorch their caller is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def own_mode() -> Iterator[None]:
    """With gradients, and without inference mode, autocast or another default device; also a decorator."""
    elsewhere = torch.get_default_device().type != "cpu"
    device = torch.device("cpu") if elsewhere else nullcontext()  # the context of a device slows every operation
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False), device:
        yield
