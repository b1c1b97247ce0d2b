"""Every dependency is declared, used, and explained in docs/security.md."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PARTS = {"pydantic-core": "pydantic", "llvmlite": "numba", "mlflow-skinny": "mlflow", "mlflow-tracing": "mlflow"}
TESTED = {"requests": "what MLflow's own client sends is looked at in tests/stores/test_redaction.py"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", name.strip())[0]).lower()


@cache
def owners() -> dict[str, list[str]]:
    """The packages that install each importable module."""
    return {module: [normal(name) for name in names] for module, names in packages_distributions().items()}


def declared() -> dict[str, str]:
    """Every package that pyproject.toml asks for, and what asks: farback, an extra, or a group for developers."""
    project = PROJECT["project"]
    groups = {"farback": project["dependencies"], **project["optional-dependencies"]}
    for group, names in PROJECT["dependency-groups"].items():
        groups[group] = [each for each in names if isinstance(each, str)]
    return {normal(each): group for group, names in groups.items() for each in names}


def imported(*folders: str) -> set[str]:
    """The packages whose modules some source imports, by the names they are installed under."""
    modules = set().union(*(imported_modules(folder) for folder in folders)) - sys.stdlib_module_names - {"farback"}
    found = {owner for module in modules for owner in owners().get(module, declared().keys() & {module})}
    return {PARTS.get(owner, owner) for owner in found}


@cache
def imported_modules(folder: str) -> set[str]:
    """The first part of the name of every module that the source in a folder imports."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.partition(".")[0] for name in names}
    return found


def explained() -> dict[str, tuple[str, str, str]]:
    """The rows of the table: who needs a package, what for, who imports it."""
    section = (ROOT / "docs" / "security.md").read_text().split("## What each dependency is for")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {normal(name): (needs, purpose, where) for name, needs, purpose, where in rows[2:]}


def test_every_dependency_is_explained_where_it_is_declared() -> None:
    assert {name: row[0] for name, row in explained().items()} == declared()
    assert all(purpose and where for _, purpose, where in explained().values())


@pytest.mark.slow
def test_nothing_is_imported_that_is_not_declared() -> None:
    runtime = {name for name, group in declared().items() if group not in PROJECT["dependency-groups"]}
    assert imported("src", "experiments") <= runtime
    assert imported("src", "experiments", "tests", "benchmarks", ".ci") <= declared().keys() | TESTED.keys()


def test_nothing_is_declared_that_is_not_used() -> None:
    """What is not imported says who uses it instead."""
    used = imported("src", "experiments", "tests", "benchmarks")
    unused = {name for name in declared() if name not in used}
    assert {name for name, row in explained().items() if row[2].startswith("not imported")} == unused


def test_the_files_that_are_named_import_it() -> None:
    for name, (_, _, where) in explained().items():
        for path in re.findall(r"[\w/]+\.py", where):
            if (ROOT / "src" / "farback" / path).exists() and name not in ("numba",):
                module = next(module for module, names in owners().items() if name in names)
                assert re.search(rf"\b{module.split('.')[0]}\b", (ROOT / "src" / "farback" / path).read_text()), path


def test_every_declared_package_is_pinned() -> None:
    """What was tested together; torch's build is the Makefile's choice, and an extra for clusters the user's."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normal(line) for line in lines if "==" in line and not line.startswith("#")}
    assert {name for name, group in declared().items() if group in ("farback", "search", "dev")} - pinned == {"torch"}
