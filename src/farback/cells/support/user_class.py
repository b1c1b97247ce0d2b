"""Imports a class of the user's: of a file in the project's folder, or of an installed package.

An edited file is imported again. Errors of the user's code are reported with the user's file and line.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from farback.records.own_files import imported_names, source_digest
from farback.records.record import digest
from farback.records.user_error import choices

MAIN = "__main__"
FORM = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class UserClass:
    """A class, or a function that makes modules, with the files that define what it computes.

    Attributes:
        path: as in "mine:MyRNN".
        files: the file of the class, then the other files of the project that it imports.
        digest: of these files, 12 hexadecimal digits.
    """

    path: str
    make: Callable[..., Any]
    files: tuple[Path, ...]
    digest: str


Version = tuple[int, int]  # time of the last change and size of a file

_classes: dict[tuple[Path, str], UserClass] = {}  # by folder and path
_modules: dict[str, tuple[Path, Path, Version]] = {}  # folder and file of the imported modules of projects, by name
_given: dict[str, UserClass] = {}  # those that only this process has
_numbers = itertools.count(1)


def user_class(path: str, folder: Path) -> UserClass:
    """The class that `path` names: "mine:MyRNN" is the class MyRNN of mine.py in `folder`, or of a package.

    Raises:
        ValueError: the path has another form, the file cannot be imported, or it has no such class.
    """
    if path in _given:
        return _given[path]
    folder = folder.absolute()
    if any(own == folder and _version(file) != version for own, file, version in _modules.values()):
        _forget(folder)
    if (folder, path) not in _classes:
        _classes[folder, path] = _import(path, folder)
    return _classes[folder, path]


def path_of(make: Callable[..., Any]) -> str:
    """The path of a class, or of a function that makes modules: "mine:MyRNN", or "__main__:MyRNN" if it is of no file
    that can be imported, such as a class of a notebook or of the script itself, or a lambda.

    What has a path in `__main__` can be used in this process only (`is_given`). Each call makes another class of it,
    because two of the same name may compute different things.
    """
    module, name = getattr(make, "__module__", None), getattr(make, "__qualname__", "")
    loaded = sys.modules.get(str(module))
    if (
        str(module) != MAIN
        and FORM.fullmatch(f"{module}:{name}")
        and Path(getattr(loaded, "__file__", "") or "").is_file()
    ):
        found: Any = loaded
        for attribute in name.split("."):
            found = getattr(found, attribute, None)
        if found is make:
            return f"{module}:{name}"
    path = f"{MAIN}:{getattr(make, '__name__', type(make).__name__)}"
    code = getattr(getattr(make, "forward", make), "__code__", None)
    files = (Path(code.co_filename),) if code else ()
    _given[path] = UserClass(path, make, files, f"given {next(_numbers)}")
    return path


def is_given(path: str) -> bool:
    """Whether a path is one that `path_of` made for this process only."""
    return path in _given


def place_of(error: BaseException, files: Iterable[Path]) -> str:
    """Where in these files an error was raised, as "mine.py:14 (h = self.keep * h)"; empty if elsewhere."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) in set(files):
        return f"{Path(error.filename).name}:{error.lineno}"
    names = {str(file) for file in files}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in names]
    if not frames:
        return ""
    last = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno}" + (f" ({last.line})" if last.line else "")


def described(error: BaseException, files: Iterable[Path]) -> str:
    """An error of the user's code on one line, with its place in the user's files."""
    place, text = place_of(error, files), " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" + (f", at {place}" if place else "")


def _import(path: str, folder: Path) -> UserClass:
    if not FORM.fullmatch(path) or ".py:" in path:
        likely = re.sub(r"\.py(?=:|$)", "", path.replace("/", "."))
        if ":" not in likely and "." in likely:
            likely = ":".join(likely.rsplit(".", 1))
        hint = f"; did you mean {likely!r}?" if FORM.fullmatch(likely) else ""
        raise ValueError(f"must be MODULE:CLASS, such as mine:MyRNN for class MyRNN in mine.py, got {path!r}{hint}")
    name, _, attributes = path.partition(":")
    own = _file_of(name, folder)
    module = _module(name, own, folder)
    found: Any = module
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            names = sorted(key for key, value in vars(found).items() if _is_made_here(value, module.__name__))
            where = f"{own.relative_to(folder)}" if own else f"the module {name}"
            rest = f"; {choices(attribute, names)}" if names else ", and no other class"
            raise ValueError(f"{where} has no {attribute!r}{rest}")
        found = getattr(found, attribute)
    if not callable(found):
        raise ValueError(f"{path} is a {type(found).__name__}, and must be a class (or a function that makes modules)")
    files = _files(found, module, folder)
    sources = [source_digest(file) for file in files]
    return UserClass(path, found, files, sources[0] if len(sources) == 1 else digest(sources)[:12])


def _module(name: str, own: Path | None, folder: Path) -> ModuleType:
    """The imported module, with the project's folder first among the places where modules are found."""
    before = getattr(sys.modules.get(name), "__file__", None)
    if own and before and Path(before) != own:
        if name not in _modules:
            raise ValueError(f"{own.name} has the name of another module, {before}: rename the file")
        _forget(_modules[name][0])  # a file of the same name in another project
    sys.path.insert(0, str(folder))
    compiled, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a compiled file may be older by up to a second
    loaded = set(sys.modules)
    try:
        module = importlib.import_module(name)
        used = _project_files(name, folder) if own else {}
        _modules.update({each: (folder, file, _version(file)) for each, file in used.items() if each in sys.modules})
        return module
    except (Exception, SystemExit) as error:
        if own is None and isinstance(error, ModuleNotFoundError) and name.startswith(str(error.name)):
            looked = folder / f"{name.replace('.', '/')}.py"
            raise ValueError(f"there is no file {looked}, and no package {name!r} is installed") from error
        for each in set(sys.modules) - loaded:  # import them again when the file was corrected
            if _is_own(Path(getattr(sys.modules[each], "__file__", None) or ""), folder):
                del sys.modules[each]
        files = [own] if own else []
        place = "" if place_of(error, files) or not own else f" (in {own.name})"
        raise ValueError(f"the import of {name} failed: {described(error, files)}{place}") from error
    finally:
        sys.dont_write_bytecode = compiled
        sys.path.remove(str(folder))
        if own and str(folder) not in sys.path:
            sys.path.append(str(folder))  # for imports inside of functions


def _file_of(name: str, folder: Path) -> Path | None:
    """The file of a module in the project's folder; None if it is not there."""
    base = folder / name.replace(".", "/")
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def _files(found: Any, module: ModuleType, folder: Path) -> tuple[Path, ...]:
    """The file of a class, and the files of the project that it imports, directly or through others."""
    try:
        first = Path(inspect.getsourcefile(found) or "")
    except (TypeError, OSError):
        first = Path(getattr(module, "__file__", None) or "")
    if not first.is_file():
        raise ValueError(f"{found.__qualname__} has no source file, whose digest is part of a trial's key: save it")
    name = str(getattr(found, "__module__", module.__name__))
    rest = _project_files(name, folder).values() if _file_of(name, folder) else ()
    return first, *sorted({file for file in rest if file != first})


def _project_files(name: str, folder: Path) -> dict[str, Path]:
    """The modules of the project that a module of the project imports, and itself, with their files."""
    found: dict[str, Path] = {}
    pending = [name]
    while pending:
        name = pending.pop()
        file = _file_of(name, folder)
        if name in found or file is None:
            continue
        found[name] = file
        for parts in (tuple(name.split(".")), *imported_names(file, folder)):
            pending += [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return found


def _is_own(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and "site-packages" not in file.relative_to(folder).parts


def _is_made_here(value: Any, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module


def _version(file: Path) -> Version:
    """Time of the last change and size of a file; zeros if it was deleted."""
    stat = file.stat() if file.exists() else None
    return (stat.st_mtime_ns, stat.st_size) if stat else (0, 0)


def _forget(folder: Path) -> None:
    """Import the files of a project again when they are next used."""
    for name in [name for name, (own, _, _) in _modules.items() if own == folder]:
        sys.modules.pop(name, None)
        del _modules[name]
    for key in [key for key in _classes if key[0] == folder]:
        del _classes[key]
    importlib.invalidate_caches()
    linecache.checkcache()
