"""How torch computes in trainings: with one thread, and with denormal numbers as zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic() -> Iterator[None]:
    """Compute with one thread, and with denormal numbers as zero, in this block.

    At these sizes two threads are slower than one, and sums must not depend on the number of threads. Vanishing
    gradients become denormal (below 1e-38). The CPU is ten times slower with such numbers than with others.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
