"""Keeps freed memory for the next arrays."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # options of mallopt
LARGEST_BLOCK, KEPT = 32 * 2**20, 2**30  # bytes


def keep_heap() -> None:
    """Let this process keep up to a gigabyte of freed memory in blocks of up to 32 MB, for the arrays that follow.

    By default the C library gives large blocks back to the system, and the system clears every page of the next one:
    more than half of the time of an adaptive lag search. Only glibc has this setting; elsewhere nothing happens.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK)
        library.mallopt(M_TRIM_THRESHOLD, KEPT)
