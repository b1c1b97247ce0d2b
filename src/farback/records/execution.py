"""Where an experiment's cohorts run, as a config or a command line says: part of no trial's identity."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from farback.records.record import Record, UserError

ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")


class TLS(Record):
    """Certificates for a cluster that asks for them: paths, from the folder that holds `results/` where not absolute.

    Attributes:
        ca: the authority that signed the cluster's certificate and ours.
        cert: our certificate.
        key: its private key.
    """

    ca: str
    cert: str
    key: str

    def below(self, root: Path) -> TLS:
        """The same with whole paths.

        Raises:
            UserError: one of the files is not there.
        """
        paths = {name: root / Path(getattr(self, name)).expanduser() for name in type(self).model_fields}
        for name, path in paths.items():
            if not path.is_file():
                raise UserError(f"executor.tls.{name}: there is no file {str(path)!r}")
        return TLS(**{name: str(path) for name, path in paths.items()})


class Placement(Record):
    """Which executor, and what it needs.

    Attributes:
        name: serial is this process, pool worker processes on this machine, dask a cluster that was started before.
        workers: processes of a pool; by default one for each core, and with 1 no pool but this process.
        address: of the cluster's scheduler, tcp://HOST:PORT or tls://HOST:PORT.
        tls: for tls://; by default what Dask's own configuration says.
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
            if "@" in self.address:  # and none is shown
                raise ValueError("an address holds no user and no password: Dask knows certificates only")
            if not ADDRESS.fullmatch(self.address):
                raise ValueError(f"the address must be tcp://HOST:PORT or tls://HOST:PORT, got {self.address!r}")
            if self.tls and not self.address.startswith("tls:"):
                raise ValueError(f"tls goes with an address that begins with tls://, got {self.address!r}")
            if self.workers is not None:
                raise ValueError("dask has the workers that joined its scheduler: workers goes with pool")
        elif self.address is not None or self.tls is not None:
            raise ValueError(f"{'address' if self.address is not None else 'tls'} goes with dask, not with {self.name}")
        elif self.name == "serial" and self.workers not in (None, 1):
            raise ValueError(f"serial is this process alone: workers is {self.workers}")
        return self
