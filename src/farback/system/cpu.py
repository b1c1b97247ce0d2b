"""The processor and the BLAS libraries, which decide the last bits of results."""

import hashlib
from typing import Any

import threadpoolctl
from llvmlite import binding  # type: ignore[import-untyped]


def processor() -> tuple[str, str]:
    """LLVM's name of the processor ("znver4"), and a digest of its instruction sets, 16 hexadecimal digits.

    Each is "unknown" if LLVM does not recognise it.
    """
    name = str(binding.get_host_cpu_name() or "unknown")
    try:
        flags = binding.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM does not know this system
        return name, "unknown"
    return name, hashlib.sha256(",".join(sorted(flags.split(","))).encode()).hexdigest()[:16]


def blas() -> str:
    """The loaded BLAS libraries, each with its version and kernels: "openblas 0.3.30 SkylakeX"."""
    import scipy.linalg.cython_blas  # noqa: F401 - loads the library

    libraries: list[dict[str, Any]] = threadpoolctl.threadpool_info()
    names = {
        " ".join(str(library[part]) for part in ("internal_api", "version", "architecture") if library.get(part))
        for library in libraries
        if library["user_api"] == "blas"
    }
    return "; ".join(sorted(names)) or "unknown"
