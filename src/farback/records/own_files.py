"""The Python files of a user's project, which farback imports: the project's folder, digests and the package `parts`.

A config is used with the files of its own project, wherever the command is typed. The folder is kept in an environment
variable, so that worker processes import the same files.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from typing_extensions import override

VARIABLE = "FARBACK_PROJECT"
PARTS = "parts"  # the project's folder of components, and the name under which its files are imported


@dataclass(frozen=True)
class OwnFile:
    """A Python file of a project, "parts/cells/ema.py", with its digest (`source_digest`) when it was imported."""

    project: Path
    name: str
    digest: str


def use_project(folder: Path) -> None:
    """Use the Python files of this project, in this process and in the processes that it starts from now on.

    Files of `parts/` that were imported, and have changed since, are imported again when they are needed.
    """
    os.environ[VARIABLE] = str(folder.absolute())
    if any(_has_changed(module) for module in _imported_parts()):
        _forget_parts()


def project_in_use() -> Path | None:
    """The project whose Python files are used; None before a config was loaded."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def own_file(module: str) -> OwnFile | None:
    """The project's file that defines an imported module ("parts.cells.ema"); None if it is not in `parts/`."""
    return getattr(sys.modules.get(module), "__own_file__", None)


def parts_folder() -> str:
    """The folder `parts/` of the project in use, or else of the current directory; it need not exist."""
    return os.path.abspath(f"{os.environ.get(VARIABLE) or os.getcwd()}/{PARTS}")  # no Path: a sweep asks often


def forget_other_parts() -> None:
    """Forget the modules of `parts/` that were imported from another folder than `parts_folder()`."""
    imported = sys.modules.get(PARTS)
    if imported is not None and list(getattr(imported, "__path__", [])) != [parts_folder()]:
        _forget_parts()


def source_digest(path: Path) -> str:
    """The first 12 hexadecimal digits of the SHA-256 digest of a file, for the keys of trials that use the file.

    If a Python file imports others of its project, the digest is that of all these files.
    """
    files = {path: path.read_bytes()}
    todo = [path] if path.suffix == ".py" else []
    project = project_in_use() or Path.cwd()
    while todo:
        new = set(_imported(todo.pop(), project)) - files.keys()
        files |= {each: each.read_bytes() for each in new}
        todo += new
    if len(files) == 1:
        return hashlib.sha256(files[path]).hexdigest()[:12]
    names = {each.relative_to(project).as_posix(): hashlib.sha256(data).hexdigest() for each, data in files.items()}
    return hashlib.sha256(repr(sorted(names.items())).encode()).hexdigest()[:12]


def error_place(error: BaseException, folder: Path) -> str:
    """The file below `folder` and its line where an error arose, as "/project/parts/cells/ema.py:7"; empty if none."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def imported_names(path: Path, project: Path) -> list[tuple[str, ...]]:
    """What a Python file of a project imports, as absolute dotted names: ("pkg", "mod", "Class"), or ("pkg", "mod").

    Raises:
        SyntaxError, ValueError: the file is not Python.
    """
    package = path.relative_to(project).parent.parts
    names: list[tuple[str, ...]] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *(node.module or "").split("."))
            names += [(*filter(None, module), alias.name) for alias in node.names]
    return names


def _imported(path: Path, project: Path) -> Iterator[Path]:
    """The files of a project that a Python file imports; none if the file is not Python or lies elsewhere."""
    if not path.is_relative_to(project):
        return
    names: list[tuple[str, ...]] = []
    with suppress(SyntaxError, ValueError):  # the import of the file reports it
        names = imported_names(path, project)
    for name in names:
        for length in range(1, len(name) + 1):
            place = project.joinpath(*name[:length])
            yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


class _Loader(SourceFileLoader):
    """Imports a file of `parts/` and notes its digest and its text.

    No bytecode is kept: Python would take it for up to date if a file of equal size is written in the same second.
    """

    text: bytes = b""

    @override
    def path_stats(self, path: Any) -> Any:
        raise OSError("no bytecode")

    @override
    def source_to_code(self, data: Any, path: Any, **options: Any) -> Any:  # type: ignore[override]
        self.text = data
        return super().source_to_code(data, path, **options)

    @override
    def exec_module(self, module: ModuleType) -> None:
        path, project = Path(self.path), Path(parts_folder()).parent
        own = OwnFile(project, path.relative_to(project).as_posix(), source_digest(path))
        module.__dict__["__own_file__"] = own
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the modules `parts`, `parts.cells`, `parts.cells.ema`... in the project in use."""

    @override
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] != PARTS:
            return None
        place = Path(parts_folder()).parent.joinpath(*name.split("."))
        for file, folders in ((place / "__init__.py", [str(place)]), (place.with_suffix(".py"), None)):
            if file.is_file():
                loader = _Loader(name, str(file))
                return spec_from_file_location(name, file, loader=loader, submodule_search_locations=folders)
        if not place.is_dir():
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
        return spec


def _imported_parts() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.partition(".")[0] == PARTS]


def _forget_parts() -> None:
    """Import the modules of `parts/` again when they are needed. Their classes stay usable where they are in use."""
    for module in _imported_parts():
        sys.modules.pop(module.__name__, None)


def _has_changed(module: ModuleType) -> bool:
    """Whether the file of a module of `parts/` is another one than when it was imported."""
    loader = getattr(module.__spec__, "loader", None)
    if not isinstance(loader, _Loader):
        return False
    try:
        return Path(loader.path).read_bytes() != loader.text
    except OSError:
        return True


sys.meta_path.insert(0, _Finder())
