"""Imports matplotlib, whatever MPLBACKEND names: matplotlib cannot be imported where it names a missing package.

Figures are written to files, which needs no backend. The caller's choice of a backend is kept where it is valid.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress

if "matplotlib" not in sys.modules:
    chosen = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if chosen is not None:
            os.environ["MPLBACKEND"] = chosen
    if chosen:
        with suppress(ValueError):
            mpl.rcParams["backend"] = chosen

if "matplotlib_inline" in os.environ.get("MPLBACKEND", ""):  # in a notebook: this import makes it show figures
    with suppress(ImportError):
        importlib.import_module("matplotlib_inline.backend_inline")
