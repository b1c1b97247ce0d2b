"""Pages of runs and searches have empty figures."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _pages_with_empty_figures(empty_figures: None) -> None:
    """See `empty_figures`."""
