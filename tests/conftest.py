"""What every suite shares: a test that asks for `every_task`, `every_cell` or `every_init` runs over the whole family.

A new file in `farback/tasks` is found by its name, with its default fields and with each level of its closed choices
(`Literal` and `bool` fields): its author writes no test to be held to the laws.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest

if TYPE_CHECKING:  # the process that starts the test workers reads this file first: heavy imports would delay them
    import numpy as np

    import servers
    from farback.records.component import Component
    from farback.trials.trial import Trial


def pytest_collection(session: pytest.Session) -> None:
    import torch

    torch.set_num_threads(1)  # a test worker has one core: at these sizes a second thread only gets into its way


def levels(kind: type[Component]) -> Iterator[dict[str, Any]]:
    """The default fields, then each other level of each field with closed choices."""
    yield {}
    for field, info in kind.model_fields.items():
        choices = [True, False] if info.annotation is bool else []
        if field != "name" and get_origin(info.annotation) is Literal:
            choices = list(get_args(info.annotation))
        for choice in choices:
            if choice != info.default:
                yield {field: choice}


FURTHER: dict[str, list[dict[str, Any]]] = {"attention": [{"window": 3}]}  # other forms that the laws should see


@functools.cache
def everything(family: Any) -> list[Component]:
    from named_alone import named_alone

    found = []
    for name in named_alone(family):
        for level in (*levels(family.FAMILY.plugin(name)), *FURTHER.get(name, ())):
            try:
                found.append(family.build({"name": name, **level}))
            except ValueError:
                if not level:  # a component that cannot be built from its name alone
                    raise
    return found


KINDS = {"every_task": "tasks", "every_cell": "cells", "every_init": "inits"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument in KINDS.keys() & set(metafunc.fixturenames):
        found = everything(importlib.import_module(f"farback.{KINDS[argument]}"))
        metafunc.parametrize(argument, found, ids=["-".join(spelled(component)) for component in found])


def spelled(component: Component) -> list[str]:
    fields = type(component).model_fields
    changed = [
        f"{field}={getattr(component, field)}" for field in fields if getattr(component, field) != fields[field].default
    ]
    return [component.name, *(text for text in changed if not text.startswith("name="))]


@pytest.fixture
def rng() -> np.random.Generator:
    import numpy as np

    return np.random.default_rng(20260)


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """A real PostgreSQL, one for each test worker."""
    import servers

    reason = servers.postgres_missing()
    if reason:
        pytest.skip(reason)
    with servers.postgres() as running:
        yield running


@pytest.fixture
def postgres_uri(postgres: servers.Postgres) -> str:
    """The address of an empty database."""
    return postgres.make(f"empty {secrets.token_hex(4)}")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables and no experiment, to be copied: MLflow takes seconds to make one.

    One test worker makes it, and each has its own copy.
    """
    from filelock import FileLock

    from farback.stores import locations
    from farback.stores.mlflow import MLflow

    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    made = session / "mlflow.db"
    with FileLock(session / "making.lock"):
        if not made.exists():
            MLflow(locations.SQLITE + str(made)).close()
        return Path(shutil.copy(made, tmp_path_factory.mktemp("database")))


@pytest.fixture
def with_store(empty_database: Path) -> Callable[[Path], Path]:
    """Give a project an empty default store; returns its database."""

    def copied(project: Path) -> Path:
        (project / "results" / "store").mkdir(parents=True)
        return Path(shutil.copy(empty_database, project / "results" / "store"))

    return copied


@pytest.fixture(scope="module")
def empty_figures() -> Iterator[None]:
    """Pages get files of empty figures: writing the real ones takes half of the time of a page.

    For tests that are not about figures; those of plots and report write the real ones.
    """
    from matplotlib.figure import Figure

    from farback import plots

    write = plots.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save", lambda figure, stem: write(Figure(figsize=(1, 1)), stem))
        yield


@pytest.fixture
def trial_of() -> Callable[..., Trial]:
    """A trial that trains in a fraction of a second, with the given fields changed."""

    from farback.trials.trial import Trial

    def make(**fields: Any) -> Trial:
        retention = {"name": "retention", "sequences": 64}
        small = {"task": "recall", "lag": 3, "cell": "elman", "hidden": 9, "batch": 4, "steps": 6, "evaluate_every": 2}
        return Trial.model_validate({**small, "measures": [retention], **fields})

    return make


@pytest.fixture
def global_generators_untouched() -> Callable[[], AbstractContextManager[None]]:
    """A block that must leave numpy's and torch's global generators as they were."""

    import numpy as np
    import torch

    def fingerprint() -> str:
        name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - it is what must not change
        words = [str(name), str(position), str(has_gauss), str(cached)]
        text = "".join(words).encode() + np.asarray(keys).tobytes() + torch.random.get_rng_state().numpy().tobytes()
        return hashlib.sha256(text).hexdigest()

    @contextmanager
    def check() -> Iterator[None]:
        before = fingerprint()
        yield
        assert fingerprint() == before

    return check
