"""The processor that kernels are compiled for: the same source gives other instructions, and other bits, on another."""

import hashlib
from typing import Any

import threadpoolctl
from llvmlite import binding  # type: ignore[import-untyped]


def processor() -> tuple[str, str]:
    """What LLVM calls the processor ("znver4"), and a digest of the instructions that it has: 16 hexadecimal digits.

    Both are "unknown" where LLVM cannot tell.
    """
    name = str(binding.get_host_cpu_name() or "unknown")
    try:
        flags = binding.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM does not know this system
        return name, "unknown"
    return name, hashlib.sha256(",".join(sorted(flags.split(","))).encode()).hexdigest()[:16]


def blas() -> str:
    """The BLAS libraries in use and the kernels that each chose: "openblas 0.3.30 SkylakeX"."""
    import scipy.linalg.cython_blas  # noqa: F401 - must be loaded to be found

    found: list[dict[str, Any]] = threadpoolctl.threadpool_info()
    named = {
        " ".join(str(one[part]) for part in ("internal_api", "version", "architecture") if one.get(part))
        for one in found
        if one["user_api"] == "blas"
    }
    return "; ".join(sorted(named)) or "unknown"
