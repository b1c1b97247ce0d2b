# mypy: allow-untyped-defs, allow-untyped-calls
"""Compiled kernels on disk: numba's cache, with a digest in every file, so that damaged files are made again.

Numba ends with an error where a file of its cache was cut short, and runs machine code in which a bit changed.
"""

import hashlib
import io
import logging
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

log = logging.getLogger("farback")
DIGEST_BYTES = hashlib.sha256().digest_size
_warned: set[str] = set()  # one line for each folder and kind of fault, not for each kernel


class CacheFiles(IndexDataCacheFile):
    """The files of one kernel. Each ends with the digest of its content, which numba's reader does not look at."""

    @contextmanager
    def _open_for_write(self, filepath):
        content = io.BytesIO()
        yield content
        with super()._open_for_write(filepath) as file:
            file.write(content.getvalue() + hashlib.sha256(content.getvalue()).digest())

    def _load_index(self):
        _check(self._index_path)
        return super()._load_index()

    def _load_data(self, name):
        _check(self._data_path(name))
        return super()._load_data(name)


class KernelCache(FunctionCache):
    """The cache of one kernel. If its files cannot be used, the kernel is compiled, and written again if possible."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        files = self._cache_file
        self._cache_file = CacheFiles(self._cache_path, self._impl.filename_base, files._source_stamp)

    def load_overload(self, sig, target_context):
        """The compiled kernel for a signature; None if there is none, or if it cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # unpickling a damaged file may raise any exception
            self._warn("is damaged or cannot be read: kernels are compiled again", error)
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        """Write a compiled kernel, if possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self._warn("cannot be written: every process compiles its kernels", error)

    def _warn(self, fault: str, error: Exception) -> None:
        place = f"the kernel cache {self._cache_path} {fault}"
        if place not in _warned:
            log.warning("%s (%s: %s)", place, type(error).__name__, error)
        _warned.add(place)


def _check(path: str) -> None:
    """Raise ValueError if an existing file does not end with the digest of its content."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return
    if hashlib.sha256(content[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
        raise ValueError(f"{Path(path).name} was truncated or changed")
