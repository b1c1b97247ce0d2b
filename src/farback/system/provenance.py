"""What a result depends on besides the trial: versions, the processor's instructions, threads.

Equal trials give equal bits where all of `DECIDING` is equal. Nothing here names a machine or a folder.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

VERSIONS = ("farback", "torch", "numpy", "scipy", "numba", "python")
MACHINE = ("machine", "cpu_capability", "cpu_target", "cpu_features", "blas", "threads")
PLUGINS = "plug-ins"  # packages and versions that brought parts of a trial; absent where there are none
DECIDING = (*VERSIONS, PLUGINS, *MACHINE, "device")


@cache
def versions() -> dict[str, str]:
    """Of `VERSIONS`, which decide numbers, and of mlflow, which records them."""
    known = {"torch": str(torch.__version__), "python": platform.python_version()}
    return {name: known.get(name) or version(name) for name in (*VERSIONS, "mlflow")}


@cache
def machine() -> dict[str, str]:
    """The kind of machine.

    `cpu` is the model, for people. What decides bits is `cpu_capability`, by which torch chooses its kernels;
    `cpu_target` and `cpu_features`, for which numba compiles; and the kernels that BLAS chose.
    """
    from farback.system.cpu import blas, processor  # LLVM takes a moment to load

    target, features = processor()
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _model(),
        "cpu_capability": str(torch.backends.cpu.get_cpu_capability()),
        "cpu_target": target,
        "cpu_features": features,
        "blas": blas(),
    }


def deciding(said: Mapping[str, str]) -> dict[str, str]:
    """The part of a recorded provenance that decides bits."""
    return {name: said[name] for name in DECIDING if name in said}


def _model() -> str:
    """The processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return platform.processor() or "unknown"
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"
