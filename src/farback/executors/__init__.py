"""Executors run cohorts: trials that train together. The config and the command line choose one."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from farback.executors.base import Executor
from farback.executors.pool import Pool, cores
from farback.executors.serial import Serial
from farback.records.execution import Placement
from farback.records.user_error import UserError
from farback.system import devices

__all__ = ["Executor", "Pool", "Serial", "chosen_placement", "open_executor"]


def chosen_placement(
    declared: Placement | None = None,
    name: str | None = None,
    address: str | None = None,
    workers: int | None = None,
    device: str = devices.CPU,
) -> Placement:
    """The placement from command-line options, or else the one that the config declares.

    An address without a name means dask, a number of workers without a name means a pool. Only the config can name
    certificates. If nothing else sets the number of workers, the device does: one on a GPU.

    Raises:
        UserError: the options contradict each other, or there is no such executor.
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
        reason = error.errors()[0]["msg"].removeprefix("Value error, ").replace("Input should", "must")
        raise UserError(f"--executor {name}: {reason}") from None


def open_executor(placement: Placement | None = None, root: Path | None = None) -> Executor:
    """An executor for a placement; by default a pool with a worker per core. A pool of one worker becomes `Serial`.

    Paths of certificates are relative to `root`, by default the current folder.

    Raises:
        UserError: dask is not installed, or a certificate file does not exist.
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
