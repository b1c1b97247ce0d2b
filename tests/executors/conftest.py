"""Dask clusters for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Cluster
from distributed import LocalCluster

from farback.executors.dask import Dask


@pytest.fixture(scope="module")
def local_dask() -> Iterator[Dask]:
    """A cluster with a scheduler and one worker in this process, which starts in a moment."""
    options = {"protocol": "tcp", "host": "127.0.0.1", "dashboard_address": ":0", "memory_limit": 0}
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **options) as local, Dask(local) as executor:
        yield executor


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers in processes of their own. A test that kills a worker starts another one."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def dask(cluster: Cluster) -> Iterator[Dask]:
    """One executor for all tests, because it must stay usable after each of them."""
    with Dask(cluster.address) as executor:
        executor.client.wait_for_workers(2)
        yield executor
