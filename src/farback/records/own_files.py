"""The Python files of a user's project, which farback imports: the project's folder, and digests of files.

A config is used with the files of its own project, wherever the command is typed. The folder is kept in an environment
variable, so that worker processes import the same files.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

VARIABLE = "FARBACK_PROJECT"


def use_project(folder: Path) -> None:
    """Use the Python files of this project, in this process and in the processes that it starts from now on."""
    os.environ[VARIABLE] = str(folder.absolute())


def project_in_use() -> Path | None:
    """The project whose Python files are used; None before a config was loaded."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def source_digest(path: Path) -> str:
    """The first 12 hexadecimal digits of the SHA-256 digest of a file, for the keys of trials that use the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
