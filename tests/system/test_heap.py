"""Freed memory is kept, and garbage is looked for less often."""

import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys
import numpy as np
from farback.system.heap import keep_heap
if sys.argv[1] == "kept":
    keep_heap()
def faults():
    for _ in range(3):
        parts = [np.ones(2_000_000) for _ in range(3)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is one of glibc")
def test_arrays_after_others_need_no_new_pages() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", COUNT_FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("kept") < 100 < 1000 < faults("returned")


COUNT_FROZEN = """
import atexit, gc
from farback.system.heap import collect_less
atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 1000))
collect_less()
"""


def test_objects_of_a_command_are_not_gone_through_often_nor_at_its_end() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT_FROZEN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100000", "True"]
