"""What a Dask cluster costs beside a pool of processes."""
