"""Records the software versions and the hardware that a result depends on.

Equal trials give bit-for-bit equal results if all `DECIDING` entries are equal. No entry names a machine or a folder.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

VERSIONS = ("farback", "torch", "numpy", "scipy", "numba", "python")
MACHINE = ("machine", "cpu_capability", "cpu_target", "cpu_features", "blas", "threads")
PLUGINS = "plug-ins"  # packages of a trial's plug-ins, with versions; absent if all are farback's
OWN_FILES = "own files"  # files of the project that a trial uses, with digests, which are part of the trial's key
DECIDING = (*VERSIONS, PLUGINS, *MACHINE, "device")


@cache
def versions() -> dict[str, str]:
    """The versions of the packages in `VERSIONS`, and of mlflow, which does not affect results."""
    known = {"torch": str(torch.__version__), "python": platform.python_version()}
    return {name: known.get(name) or version(name) for name in (*VERSIONS, "mlflow")}


@cache
def machine() -> dict[str, str]:
    """The kind of machine.

    `cpu` is the name of the processor model. The other entries decide the bits of results: torch chooses kernels by
    `cpu_capability`, numba compiles for `cpu_target` and `cpu_features`, and `blas` names the kernels that BLAS chose.
    """
    target, features = processor()
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _model(),
        "cpu_capability": str(torch.backends.cpu.get_cpu_capability()),
        "cpu_target": target,
        "cpu_features": features,
        "blas": blas(),
    }


def deciding(recorded: Mapping[str, str]) -> dict[str, str]:
    """The entries of a recorded provenance on which the bits of results depend."""
    return {name: recorded[name] for name in DECIDING if name in recorded}


def processor() -> tuple[str, str]:
    """LLVM's name of the processor ("znver4"), and a digest of its instruction sets, 16 hexadecimal digits.

    Each is "unknown" if LLVM does not recognise it.
    """
    from llvmlite import binding  # type: ignore[import-untyped]  # slow to load

    name = str(binding.get_host_cpu_name() or "unknown")
    try:
        flags = binding.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM does not know this system
        return name, "unknown"
    return name, hashlib.sha256(",".join(sorted(flags.split(","))).encode()).hexdigest()[:16]


def blas() -> str:
    """The loaded BLAS libraries, each with its version and kernels: "openblas 0.3.30 SkylakeX"."""
    import scipy.linalg.cython_blas  # noqa: F401 - loads the library
    import threadpoolctl

    libraries: list[dict[str, Any]] = threadpoolctl.threadpool_info()
    parts = ("internal_api", "version", "architecture")
    names = {
        " ".join(str(library[part]) for part in parts if library.get(part))
        for library in libraries
        if library["user_api"] == "blas"
    }
    return "; ".join(sorted(names)) or "unknown"


def _model() -> str:
    """The processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
