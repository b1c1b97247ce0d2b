"""The artifacts of runs: files below the store's own folder, or behind the store's own MLflow server.

The address of each run's artifacts comes from the store, so others may have written it: `locations.local` checks it.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from farback.stores import locations
from farback.stores.retries import Retries
from farback.system import atomic_files


class Artifacts:
    """Writes and reads the artifacts of a store's runs, with retries; `project` as in `locations.artifact_root`."""

    def __init__(self, uri: str, retries: Retries, project: Path | None = None) -> None:
        self.uri, self.retries, self.project = uri, retries, project

    def local(self, uri: str) -> Path | None:
        """`locations.local` of a run's artifacts. Raises ForeignAddress: they are not below the store's own folder."""
        return locations.local(uri, self.uri, self.project)

    def write(self, uri: str, files: Mapping[str, bytes]) -> None:
        """Add artifacts to a run. A local file is either absent, or complete and flushed to the disk."""

        def attempt() -> None:
            local = self.local(uri)
            if local is None:
                with atomic_files.scratch() as folder:
                    for name, content in files.items():
                        (folder / name).write_bytes(content)
                    self._repository(uri).log_artifacts(str(folder))
                return
            local.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                with atomic_files.aside(local / name, durable=True) as unfinished:
                    unfinished.write_bytes(content)

        self.retries.call(attempt)

    def sweep(self, uri: str) -> None:
        """Remove unfinished files of killed processes from the local artifacts of a run."""
        with suppress(locations.ForeignAddress):  # whatever is there is not ours to remove
            if (local := self.local(uri)) is not None:
                atomic_files.sweep(local)

    def replace(self, uri: str, files: Sequence[Path], earlier: Collection[str]) -> None:
        """Write artifacts of a run, and delete those of the names `earlier` that are no longer among them."""
        self.write(uri, {path.name: path.read_bytes() for path in files})
        gone = {name for name in earlier if name == Path(name).name} - {path.name for path in files}

        def delete() -> None:
            local = self.local(uri)
            for name in gone:
                if local is None:
                    self._repository(uri).delete_artifacts(name)
                elif (local / name).is_symlink() or not (local / name).is_dir():
                    (local / name).unlink(missing_ok=True)

        self.retries.call(delete)

    def has(self, uri: str, names: Sequence[str]) -> bool:
        """Whether a run has these local artifacts; of artifacts elsewhere this is not known, and False."""
        folder = self.local(uri)
        return folder is not None and all((folder / name).is_file() for name in names)

    def read(self, uri: str, names: Sequence[str]) -> list[bytes]:
        """The contents of some artifacts of a run.

        Raises:
            FileNotFoundError: one of the files does not exist.
            OSError: one of the files cannot be read.
        """
        folder = self.local(uri)
        if folder is not None:
            return [_content(folder / name) for name in names]
        from mlflow.exceptions import MlflowException  # takes seconds to import

        artifacts = self._repository(uri)
        with atomic_files.scratch() as copies:
            try:
                paths = [self.retries.call(partial(artifacts.download_artifacts, name, str(copies))) for name in names]
                return [Path(path).read_bytes() for path in paths]
            except (MlflowException, OSError) as error:
                stored = {file.path for file in self.retries.call(artifacts.list_artifacts)}
                for name in set(names) - stored:
                    raise FileNotFoundError(errno.ENOENT, "no such artifact", name) from None
                raise OSError(locations.shown(str(error))) from None

    def _repository(self, uri: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(uri, tracking_uri=self.uri)


def _content(path: Path) -> bytes:
    """The bytes of a file. Raises OSError: it cannot be read, or is a device or a pipe, which might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return path.read_bytes()
