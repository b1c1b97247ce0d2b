"""Executors: where cohorts run."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from farback.executors.base import Executor
from farback.executors.pool import Pool, cores
from farback.executors.serial import Serial
from farback.records.execution import Placement
from farback.records.record import UserError
from farback.system import devices

__all__ = ["Executor", "Pool", "Serial", "chosen", "opened"]


def chosen(
    declared: Placement | None = None,
    name: str | None = None,
    address: str | None = None,
    workers: int | None = None,
    device: str = devices.CPU,
) -> Placement:
    """Where to train: what is asked for now goes before what the config declares.

    An address alone asks for dask, a number of workers alone for a pool. Certificates are the config's.

    Args:
        declared: by the config.
        name: of an executor.
        address: of a Dask scheduler.
        workers: processes of a pool.
        device: that they train on: a GPU has one worker, where nothing else is said.

    Raises:
        UserError: these do not go together, or there is no such executor.
    """
    if declared is None and name is None and address is None and workers is None:
        workers = devices.workers(device)
    declared = declared or Placement()
    if name is None and address is None and workers is None:
        return declared
    name = name or ("dask" if address else "pool")
    if name == "dask" == declared.name:
        address = address or declared.address
    tls = declared.tls if name == "dask" and (address or "").startswith("tls:") else None
    try:
        return Placement.model_validate({"name": name, "address": address, "workers": workers, "tls": tls})
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
        raise UserError(f"--executor {name}: {said}") from None


def opened(placement: Placement | None = None, root: Path | None = None) -> Executor:
    """The executor for a placement; by default a pool with a worker for each core, on one core this process.

    Args:
        placement: what was asked for.
        root: what paths of certificates are relative to; by default this directory.

    Raises:
        UserError: dask is not installed, or a certificate is not there.
    """
    placement = placement or Placement()
    if placement.name == "dask":
        try:
            from farback.executors.dask import Dask
        except ModuleNotFoundError as error:
            if error.name not in ("dask", "distributed"):
                raise
            raise UserError("executor dask needs `distributed`: install farback[dask]") from None
        assert placement.address is not None
        return Dask(placement.address, placement.tls.below(root or Path.cwd()) if placement.tls else None)
    workers = 1 if placement.name == "serial" else placement.workers or cores()
    return Serial() if workers == 1 else Pool(workers)
