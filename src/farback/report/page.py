"""Write an experiment's folder under `results/`: the page, and for each figure its picture and its numbers.

Everything is made from the store alone and is byte-stable: the folder can be deleted and rebuilt without a difference.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from farback import tables
from farback.claim import Claim
from farback.component import UserError
from farback.layout import script_of
from farback.report.analysis import Analysis, Figure, markdown
from farback.report.findings import Finding, claims_table, judged
from farback.report.searched import Searched, searched
from farback.report.standard import Ladder, standard
from farback.writing import aside


@dataclass(frozen=True)
class Subject:
    """What a page is about: an experiment's name, question, config (as a person types its path), trial keys, the skill
    of partial memory on its task, whether its trials were made alike (`farback.report.origins`), whether bisection
    picked their lags, the claims that it checks, and how many trials are missing without which none is judged."""

    name: str
    question: str
    config: str
    keys: tuple[str, ...]
    ladder: Ladder
    root: Path
    folder: Path
    origins: str = ""
    bisected: str = ""
    claims: tuple[Claim, ...] = ()
    missing: int = 0

    @property
    def script(self) -> Path:
        """The Python file of the same stem, which asks the question; it need not exist."""
        return script_of(self.name, self.root)


@dataclass(frozen=True)
class Page:
    """A page that was written."""

    analysis: Analysis
    report: Path
    files: list[Path]
    note: str


def write(subject: Subject, frame: pd.DataFrame) -> Page:
    """Analyse the frame and write the folder.

    Args:
        subject: the experiment.
        frame: the store's tidy frame; trials that the config no longer names are left out.

    Raises:
        UserError: none of the experiment's trials is recorded.
    """
    own = frame[frame["key"].isin(subject.keys)]
    if own.empty:
        raise UserError(f"nothing is recorded for {subject.name} yet: farback run {subject.config}")
    script = _script(subject.script)
    analyse: Callable[[pd.DataFrame, Ladder], Analysis] = standard if script is None else script.analyse
    status = own.groupby("key")["status"].first()
    counts = {
        "recorded": len(status),
        "total": len(subject.keys),
        "diverged": int((status == "diverged").sum()),
    }
    analysis = analyse(own, subject.ladder)
    if subject.claims:
        left = f"not run yet: {subject.missing} trials are missing" if subject.missing else "not judged"
        table = claims_table(subject.claims, found(subject, frame), left)
        analysis = replace(analysis, parts=[*analysis.parts, table])
    return publish(analysis, subject.folder, "report.md.j2", _about(subject, script) | counts)


def found(subject: Subject, frame: pd.DataFrame) -> dict[str, Finding]:
    """What became of an experiment's claims, by id; until every trial is there, nothing did.

    Args:
        subject: the experiment.
        frame: as of `write`.

    Raises:
        UserError: its script does not answer exactly what its config claims.
    """
    if subject.missing or not subject.claims:
        return {}
    own = frame[frame["key"].isin(subject.keys)]
    return judged(_script(subject.script), subject.claims, own, subject.name)


def write_search(subject: Subject, found: Searched, configs: Mapping[str, str]) -> Page:
    """Analyse what a search left and write the folder, with its winning settings as configs.

    Args:
        subject: the experiment.
        found: what is in its two stores.
        configs: YAML texts by the names of their files.

    Raises:
        UserError: nothing was trained on fresh seeds yet, so that there is no result.
    """
    if found.fresh.empty:
        message = f"no setting of {subject.name} was trained on fresh seeds yet, and only those are results"
        raise UserError(f"{message}: farback search {subject.config}")
    script = _script(subject.script)
    analyse: Callable[[Searched], Analysis] = searched if script is None else script.analyse
    said = {"found": found, "configs": list(configs)}
    return publish(analyse(found), subject.folder, "searched.md.j2", _about(subject, script) | said, configs)


def _about(subject: Subject, script: ModuleType | None) -> dict[str, Any]:
    """What every experiment's page says of it."""
    return {
        "name": subject.name,
        "question": subject.question,
        "config": subject.config,
        "prediction": getattr(script, "PREDICTION", ""),
        "refuted_by": getattr(script, "REFUTED_BY", ""),
        "origins": subject.origins,
        "bisected": subject.bisected,
    }


def publish(
    analysis: Analysis,
    folder: Path,
    template: str,
    context: Mapping[str, Any],
    files: Mapping[str, str] = MappingProxyType({}),
) -> Page:
    """Write a page with its figures and numbers; each file is whole whenever the process is killed.

    Args:
        analysis: what the page says.
        folder: where; it is made.
        template: of the page, in `templates/`.
        context: what the template wants besides the analysis: name, question, prediction, refuted_by and origins at
            least.
        files: further texts that belong to the page, by the names of their files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = Environment(
        loader=PackageLoader("farback.report"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    page = environment.get_template(template).render(analysis=analysis, markdown=markdown, **context)
    texts = {"report.md": page, **files}
    for name, content in texts.items():
        with aside(folder / name) as file:
            file.write_text(content, encoding="utf-8", newline="\n")
    report, *others = (folder / name for name in texts)
    return Page(analysis, report, [report, *others, *_parts(analysis, folder)], _note(context, analysis))


def _parts(analysis: Analysis, folder: Path) -> list[Path]:
    from farback.plots import save  # matplotlib takes a second to import

    written = []
    for part in analysis.parts:
        csv = folder / f"{part.name}.csv"
        tables.write_csv(part.frame, csv)
        written.append(csv)
        if isinstance(part, Figure):
            written += save(part.drawing, folder / part.name)
    return written


def _note(context: Mapping[str, Any], analysis: Analysis) -> str:
    """The headline for the tracker: a sentence, a table, the verdict, and what made the trials where they differ."""
    headline = markdown(analysis.tables[0].shown) if analysis.tables else ""
    verdict = "\n".join(f"- {line}" for line in analysis.verdict)
    origins = f"\n{context['origins']}\n" if context["origins"] else ""
    return f"**{context['question']}**\n\n{analysis.headline}\n\n{headline}\n\n{verdict}\n{origins}"


def _script(path: Path) -> ModuleType | None:
    """An experiment's Python file, or None where there is none."""
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location(f"farback_experiment_{path.stem}", path)
    assert spec is not None  # the path ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
