"""A real Dask cluster for the suites of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Cluster

from farback.executors.dask import Dask


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, which a suite may lose if it replaces them."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def dask(cluster: Cluster) -> Iterator[Dask]:
    """One connection for a whole suite: that it stays usable after everything is part of the contract."""
    with Dask(cluster.address) as executor:
        executor.client.wait_for_workers(2)
        yield executor
