"""A digest of farback's own source, which also tells edited copies of one version apart."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def source_digest() -> str:
    """The digest of all of farback's files, templates too, 12 hexadecimal digits."""
    folder, source = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            source.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return source.hexdigest()[:12]
