"""`make audit` passes only where a service has answered for every package."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
HOLE = {
    "id": "PYSEC-0000-1",
    "summary": "made up",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "numpy"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.0"}]}],
            "versions": ["1.0"],
        }
    ],
}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def service() -> Iterator[str]:
    """OSV's API on this machine: it knows something against numpy."""

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = {"vulns": [HOLE]} if asked["package"]["name"] == "numpy" else {}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_a_service_knows_fails_the_audit(
    audit: ModuleType, service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the real pip-audit, asking a service of ours."""
    options = ["-s", "osv", "--osv-url", service]
    assert audit.audit(["numpy==1.0", "scipy==1.0"], [options]) == 1
    assert "numpy 1.0: PYSEC-0000-1, fixed in 999.0" in capsys.readouterr().out
    assert audit.audit(["scipy==1.0", "pandas==1.0"], [options]) == 0
    assert "2 packages" in capsys.readouterr().out


def test_a_service_that_cannot_be_reached_is_no_pass(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.audit(["numpy==1.0"], [["-s", "osv", "--osv-url", "http://127.0.0.1:1/v1/query"]]) == 3
    said = capsys.readouterr().out
    assert "NOT AUDITED" in said
    assert "could not be asked" in said


def test_a_mirror_without_advisories_is_no_pass(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pip-audit skips what its service does not know, and ends with 0."""
    skipped = {"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}]}
    monkeypatch.setattr(audit, "ask", lambda packages, service: audit.read(skipped))
    assert audit.audit(["a==1", "b==1"], [["-s", "pypi"], ["-s", "osv"]]) == 3
    assert capsys.readouterr().out.count("it knows nothing of 1 of 2 packages") == 2
    whole = {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}
    monkeypatch.setattr(audit, "ask", lambda packages, service: audit.read(whole))
    assert audit.audit(["a==1", "b==1"], [["-s", "pypi"]]) == 3  # one was not asked about
    assert audit.audit(["a==1"], [["-s", "pypi"]]) == 0


def test_everything_installed_is_asked_about_by_its_public_version(audit: ModuleType) -> None:
    packages = audit.installed()
    assert not any("+" in package for package in packages)
    assert {"numpy", "torch", "mlflow", "optuna"} <= {package.partition("==")[0] for package in packages}
    assert "farback" not in {package.partition("==")[0] for package in packages}
