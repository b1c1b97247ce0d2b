"""The overhead of a Dask cluster, compared with a pool of processes."""
