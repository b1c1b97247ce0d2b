"""Write an experiment's folder under `results/`: the page twice (Markdown and HTML), each figure's picture and numbers.

Everything is made from the store alone and is byte-stable: the folder can be deleted and rebuilt without a difference.
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from farback import tables
from farback.records.claim import Claim
from farback.records.record import UserError
from farback.report import html, index, svg
from farback.report.analysis import Analysis, Figure, markdown
from farback.report.search_report import Searched, searched
from farback.report.sweep_report import Ladder, standard
from farback.report.verdicts import Finding, claims_table, judged
from farback.system.atomic_files import aside
from farback.system.project import script_of

# What a page's context may leave out. `command` made the page; `listed` says whether the index has it.
UNSAID: Mapping[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(("prediction", "refuted_by", "origins", "command", "config", "config_text"), ""),
        "made_with": {},
        "listed": True,
    }
)


@dataclass(frozen=True)
class Subject:
    """What a page is about.

    Attributes:
        name, question: of the experiment.
        config: its path and options, as typed on a command line.
        keys: of its trials.
        ladder: the skill of partial memory on its task.
        origins: whether its trials were made alike (`farback.report.provenance_note`).
        bisected: how bisection picked their lags, if it did.
        claims: that it checks.
        missing: trials without which no claim is judged.
        chance: the score of a guess without memory.
        made_with: versions and machines behind the trials, by name.
        config_text: the whole config.
    """

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
    chance: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict)
    config_text: str = ""

    @property
    def script(self) -> Path:
        """The Python file of the same stem, which asks the question; it need not exist."""
        return script_of(self.name, self.root)


@dataclass(frozen=True)
class Page:
    """A page that was written: `report` is the Markdown, `html` the page for the browser."""

    analysis: Analysis
    report: Path
    html: Path
    files: list[Path]
    note: str

    @property
    def picture(self) -> Path | None:
        """The leading figure; None where there is none."""
        return next((path for path in self.files if path.suffix == ".png"), None)


def write(subject: Subject, frame: pd.DataFrame) -> Page:
    """Analyse the frame and write the folder.

    Args:
        subject: the experiment.
        frame: the store's tidy frame; trials that the config no longer names are left out.

    Raises:
        UserError: none of the experiment's trials is recorded, or too few for its script; a mistake in the script.
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
    try:
        analysis = analyse(own, subject.ladder)
    except Exception as error:
        if script is None or isinstance(error, UserError):
            raise
        if len(status) < len(subject.keys):  # scripts may count on every trial
            raise UserError(
                f"{len(status)} of {len(subject.keys)} trials of {subject.name} are recorded, and its script needs "
                f"more ({error}): farback run {subject.config}"
            ) from error
        then = f"what was trained is recorded: farback report {subject.config}"
        raise _mistake(subject.script, error, then) from error
    if subject.claims:
        left = f"not run yet: {subject.missing} trials are missing" if subject.missing else "not judged"
        table = claims_table(subject.claims, found(subject, frame), left)
        analysis = replace(analysis, parts=[*analysis.parts, table])
    return publish(analysis, subject.folder, "trained.md.j2", _about(subject, script, "run") | counts)


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
    context = _about(subject, script, "search") | said
    return publish(analyse(found), subject.folder, "searched.md.j2", context, configs)


def _about(subject: Subject, script: ModuleType | None, command: str) -> dict[str, Any]:
    """What every experiment's page says of it; the folder of a config that `--set` changed is not in the index."""
    return {
        "name": subject.name,
        "question": subject.question,
        "config": subject.config,
        "prediction": getattr(script, "PREDICTION", ""),
        "refuted_by": getattr(script, "REFUTED_BY", ""),
        "origins": subject.origins,
        "bisected": subject.bisected,
        "chance": subject.chance,
        "made_with": subject.made_with,
        "config_text": subject.config_text,
        "command": f"farback {command} {subject.config}",
        "listed": subject.folder.name == subject.name and getattr(script, "LISTED", True),
    }


def publish(
    analysis: Analysis,
    folder: Path,
    template: str,
    context: Mapping[str, Any],
    files: Mapping[str, str] = MappingProxyType({}),
) -> Page:
    """Write a page with its figures and numbers, and the index of all pages; each file is whole whenever the process is
    killed.

    Args:
        analysis: what the page says.
        folder: where; it is made.
        template: of what the page says about how it was made, in Markdown, in `templates/`.
        context: what the template wants besides the analysis: name and question at least, and what is in `UNSAID`.
        files: further texts that belong to the page, by the names of their files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = {**UNSAID, **context, "analysis": analysis}
    made = _texts().get_template(template).render(**said).strip()
    parts = _parts(analysis, folder)
    texts = {
        "report.md": _texts().get_template("page.md.j2").render(**said, made=made, markdown=markdown),
        index.PAGE: _html(said | {"made": made}, folder),
        **files,
    }
    for name, content in texts.items():
        with aside(folder / name) as file:
            file.write_text(content, encoding="utf-8", newline="\n")
    if index.belongs(folder) and said["listed"]:
        index.write(folder.parent)
    report, browsed, *others = (folder / name for name in texts)
    return Page(analysis, report, browsed, [report, browsed, *others, *parts], _note(said, analysis))


def _texts() -> Environment:
    """Of Markdown, in which nothing is escaped."""
    return Environment(
        loader=PackageLoader("farback.report"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )


def _html(said: Mapping[str, Any], folder: Path) -> str:
    """The page for the browser: the first figure leads, everything else keeps its order."""
    analysis: Analysis = said["analysis"]
    lead = next(iter(analysis.figures), None)
    pictures = {
        part.name: svg.picture((folder / f"{part.name}.svg").read_text(encoding="utf-8")) for part in analysis.figures
    }
    about = index.about(
        said["name"],
        said["question"],
        analysis,
        coloured=lead is not None and pictures[lead.name].coloured,
        experiment=bool(said["config"]),
        listed=said["listed"],
    )
    more = {
        "about": about.model_dump(),
        "lead": lead,
        "rest": [part for part in analysis.parts if part is not lead],
        "pictures": pictures,
        "indexed": index.belongs(folder) and said["listed"],
    }
    return html.page("report.html.j2", {**said, **more})


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
    """An experiment's Python file, or None where there is none.

    Raises:
        UserError: it cannot be imported, or has no function `analyse`.
    """
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location(f"farback_experiment_{path.stem}", path)
    assert spec is not None  # the path ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _mistake(path, error, "it is imported for the page") from error
    if not hasattr(module, "analyse"):
        raise UserError(
            f"{path}: has no function analyse(scores, ladder), which makes the page; without the file the page "
            "has the standard tables and figures"
        )
    return module


def _mistake(script: Path, error: Exception, then: str) -> UserError:
    """A script's mistake in a line: where in the script, what, and what is left to do."""
    if isinstance(error, SyntaxError) and error.filename == str(script):
        line = error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(script)), None)
    return UserError(f"{script}{f':{line}' if line else ''}: {type(error).__name__}: {error}; {then}")
