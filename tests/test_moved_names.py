"""Names of 0.1.0 that scripts and plug-ins import are still there."""

from __future__ import annotations

import importlib

import pytest

NAMES = {
    "farback.tasks.answers": "Chance OneOf Rung",
    "farback.measures.system": "measured",
    "farback.network": "Network from_torch states to_torch",
    "farback.report.standard": "Ladder reach_text shown",
    "farback.report.checked": "Middle Share answered chosen conditions learning_figure mean_horizon only share",
    "farback.search": "Found Winner history search winners",
}


@pytest.mark.parametrize("module", NAMES)
def test_a_module_of_the_first_release_has_its_names(module: str) -> None:
    for name in NAMES[module].split():
        assert getattr(importlib.import_module(module), name).__name__


def test_the_package_of_searches_exports_its_names() -> None:
    names: dict[str, object] = {}
    exec("from farback.search import *", names)
    assert set(NAMES["farback.search"].split()) <= names.keys()
