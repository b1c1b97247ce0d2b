"""Says where an experiment is trained. A config or a command sets it; it is not part of a trial's identity."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from farback.records.record import Record
from farback.records.user_error import UserError

ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")


class TLS(Record):
    """Certificate files for a Dask cluster that requires them. Relative paths start at the folder with `results/`.

    Attributes:
        ca: certificate of the authority that signed the certificates of the cluster and of this machine.
        cert: certificate of this machine.
        key: private key of this machine.
    """

    ca: str
    cert: str
    key: str

    def below(self, root: Path) -> TLS:
        """The same files with absolute paths. Raises UserError: one of the files does not exist."""
        paths = {name: root / Path(getattr(self, name)).expanduser() for name in type(self).model_fields}
        for name, path in paths.items():
            if not path.is_file():
                raise UserError(f"executor.tls.{name}: there is no file {str(path)!r}")
        return TLS(**{name: str(path) for name, path in paths.items()})


class Placement(Record):
    """Which executor trains the trials, and the options of the executor.

    Attributes:
        name: `serial` trains in one process, `pool` in worker processes on this machine, `dask` on a Dask cluster.
        workers: number of processes of the pool; by default one for each core. With 1, the main process trains.
        address: address of the Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT.
        tls: certificates for a tls:// address; by default Dask's own configuration names them.
    """

    name: Literal["serial", "pool", "dask"] = "pool"
    workers: Annotated[int, Field(ge=1)] | None = None
    address: str | None = None
    tls: TLS | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.name == "dask":
            if self.address is None:
                raise ValueError("dask needs the address of its scheduler, such as tcp://127.0.0.1:8786")
            if "@" in self.address:  # do not print the password
                raise ValueError("an address must not contain a user or a password: Dask uses certificates only")
            if not ADDRESS.fullmatch(self.address):
                raise ValueError(f"the address must be tcp://HOST:PORT or tls://HOST:PORT, got {self.address!r}")
            if self.tls and not self.address.startswith("tls:"):
                raise ValueError(f"tls needs an address that begins with tls://, got {self.address!r}")
            if self.workers is not None:
                raise ValueError(
                    "workers is an option of pool; a Dask cluster has the workers that joined its scheduler"
                )
        elif self.address is not None or self.tls is not None:
            raise ValueError(f"{'tls' if self.address is None else 'address'} is an option of dask, not of {self.name}")
        elif self.name == "serial" and self.workers not in (None, 1):
            raise ValueError(f"serial trains in this process only: leave workers out, got {self.workers}")
        return self
