"""Which files git tracks: a run of one's own does not change them, except the files of its own experiment."""

from __future__ import annotations

import subprocess
from pathlib import Path


def tracked(folder: Path) -> frozenset[str]:
    """The paths of the tracked files below a folder, relative to it, with "/"; empty without git."""
    command = ["git", "-C", str(folder), "ls-files", "-z"]
    try:
        names = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    return frozenset(names.decode(errors="surrogateescape").split("\0")) - {""}
