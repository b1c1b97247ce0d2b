"""Keeps freed memory for the next arrays, and looks for garbage less often."""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # options of mallopt
LARGEST_BLOCK, KEPT = 32 * 2**20, 2**30  # bytes
NEW_OBJECTS = 100_000  # 700 in Python 3.11


def keep_heap() -> None:
    """Let this process keep up to a gigabyte of freed memory in blocks of up to 32 MB, for the arrays that follow.

    By default the C library gives large blocks back to the system, and the system clears every page of the next one:
    more than half of the time of an adaptive lag search. Only glibc has this setting; elsewhere nothing happens.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK)
        library.mallopt(M_TRIM_THRESHOLD, KEPT)


def collect_less() -> None:
    """Look for garbage after every 100 000 new objects that may contain others, where Python's default is 700.

    The imports of a command make half a million such objects and next to no garbage. For the same reason Python does
    not go through all of them at the end of the process, which would take a second.
    """
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(gc.freeze)
