"""Asks a vulnerability service about every installed package: `make audit`.

pip-audit ends with exit code 0 for packages that its service does not know, for example if the service is a mirror
without advisories. Here a package without an answer is an error.

Exit codes: 0 no package has a known vulnerability; 1 some have; 3 no service answered for every package.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

SERVICES = (("-s", "pypi"), ("-s", "osv"))
OURS = "farback"
SECONDS = 30  # for one answer


@dataclass(frozen=True)
class Answer:
    """The answer of a vulnerability service: packages asked about, packages it does not know, known vulnerabilities."""

    asked: int
    unknown: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    silent: str = ""  # why there was no answer at all


def installed() -> list[str]:
    """Every installed package but our own as a requirement; "2.13.0+cpu" becomes 2.13.0."""
    found = {dist.name.lower(): dist.version.partition("+")[0] for dist in distributions()}
    return [f"{name}=={found[name]}" for name in sorted(found) if name != OURS]


def ask(packages: Sequence[str], service: Sequence[str]) -> Answer:
    """Ask one service.

    Args:
        packages: requirements, each of one version.
        service: pip-audit's options for it.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "installed.txt"
        requirements.write_text("\n".join(packages) + "\n", encoding="utf-8")
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", str(SECONDS), "-f", "json"]
        command = [sys.executable, "-m", "pip_audit", "-r", str(requirements), *options, *service]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return read(json.loads(done.stdout))
    except (ValueError, KeyError):
        output = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        return Answer(len(packages), silent=output[-1][:300])


def read(report: dict[str, Any]) -> Answer:
    """The answer in the JSON that pip-audit writes."""
    rows = report["dependencies"]
    unknown = tuple(row["name"] for row in rows if "skip_reason" in row)
    known = []
    for row in rows:
        for hole in row.get("vulns", ()):
            fixed = ", ".join(hole.get("fix_versions", ())) or "no version yet"
            known.append(f"{row['name']} {row['version']}: {hole['id']}, fixed in {fixed}")
    return Answer(len(rows), unknown, tuple(known))


def audit(packages: Sequence[str], services: Sequence[Sequence[str]] = SERVICES) -> int:
    """Ask the services in turn until one has answered for every package; the exit code."""
    for service in services:
        name = service[-1]
        answer = ask(packages, service)
        if answer.known:
            _say(f"{name} knows of {len(answer.known)}:", *(f"  {line}" for line in answer.known))
            return 1
        if not answer.silent and not answer.unknown and answer.asked == len(packages):
            _say(f"{answer.asked} packages; {name} knows nothing against them")
            return 0
        why = answer.silent or f"it knows nothing of {len(answer.unknown)} of {answer.asked} packages"
        _say(f"{name} could not be asked: {why}")
    _say("NOT AUDITED: no vulnerability service answered for every package; try again where one can be reached")
    return 3


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    options = sys.argv[1:]  # of pip-audit, in place of its public services: -s osv --osv-url URL
    sys.exit(audit(installed(), [options] if options else SERVICES))
