"""Finds out whether a written page is still what would be made from its scores, so that it need not be made again.

For each page, one file in `results/store/pages` keeps a digest of all that the page depends on, digests of its files,
and what commands print of it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from farback.records import entry_points
from farback.report.analysis import Analysis, Table
from farback.report.index import INDEX, is_indexed
from farback.system.atomic_files import aside
from farback.system.project import RESULTS, SCRIPTS
from farback.system.source import source_digest

if TYPE_CHECKING:
    from farback.report.page import Page, Subject

LIBRARIES = ("matplotlib", "seaborn", "pandas", "numpy", "scipy", "jinja2")  # of figures, tables and pages
SCORES = ("key", "status", "measure", "step", "lag", "statistic", "value")  # a trial's key decides its other columns


def digest(subject: Subject, own: pd.DataFrame) -> str:
    """A digest of all that a page depends on.

    Its subject, the scores of its trials, the project's scripts, farback's source, and the versions of plug-ins and
    libraries.
    """
    scores = pd.util.hash_pandas_object(own[list(SCORES)], index=False).to_numpy()
    made = hashlib.sha256(repr(subject).encode() + scores.tobytes())
    for script in sorted((subject.root / SCRIPTS).rglob("*.py")):
        made.update(f"{script.relative_to(subject.root).as_posix()}\0".encode() + script.read_bytes())
    versions = [sys.version, *(f"{name} {version(name)}" for name in LIBRARIES), *entry_points.packages()]
    made.update("\0".join([source_digest(), *versions]).encode())
    return made.hexdigest()


def keep(page: Page, subject: Subject, digest: str) -> None:
    """Write what `kept` needs to find that a page is unchanged."""
    analysis = page.analysis
    tables = [
        {"name": table.name, "caption": table.caption, "shown": table.shown.astype(str).to_dict("split", index=False)}
        for table in analysis.tables
    ]
    about = {
        "digest": digest,
        "files": _files(page.files),
        "headline": analysis.headline,
        "verdict": analysis.verdict,
        "tables": tables,
        "metrics": analysis.metrics,
        "tags": analysis.tags,
        "note": page.note,
    }
    path = _place(subject)
    with suppress(OSError):  # such as a full disk: then the next run makes the page again
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as file:
            file.write_text(json.dumps(about), encoding="utf-8")


def kept(subject: Subject, digest: str) -> Page | None:
    """The page on disk, if it has this digest and none of its files was changed; else None.

    Its tables have the texts that they show, also as their frames; it has no figures.
    """
    from farback.report.page import Page

    with suppress(OSError, ValueError, KeyError, TypeError):  # the file is absent, or not as `keep` writes it
        about = json.loads(_place(subject).read_text(encoding="utf-8"))
        files = [subject.folder / name for name in about["files"]]
        indexed = not is_indexed(subject.folder) or (subject.folder.parent / INDEX).exists()
        if about["digest"] == digest and _files(files) == about["files"] and indexed:
            tables = [_table(one["name"], one["caption"], one["shown"]) for one in about["tables"]]
            analysis = Analysis(about["headline"], about["verdict"], [*tables], about["metrics"], about["tags"])
            return Page(analysis, files[0], files[1], files, about["note"])
    return None


def _table(name: str, caption: str, shown: dict[str, list[Any]]) -> Table:
    frame = pd.DataFrame(shown["data"], columns=shown["columns"], dtype=object)
    return Table(name, caption, frame, frame)


def _files(paths: Iterable[Path]) -> dict[str, str]:
    """The digest of each file of a page, by name, in their order."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _place(subject: Subject) -> Path:
    return subject.root / RESULTS / "store" / "pages" / f"{subject.folder.name}.json"
