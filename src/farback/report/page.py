"""Writes an experiment's folder below `results/`: the page as Markdown and HTML, its figures and its numbers.

The pages depend on the store alone and are byte-stable: a deleted folder is rebuilt without a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from farback import tables
from farback.records.claim import Claim
from farback.records.user_error import UserError
from farback.report import html, index, kept_page, svg
from farback.report.analysis import Analysis, Figure, markdown, outcome
from farback.report.claim_verdicts import Finding, claims_table, judged, not_run
from farback.report.experiment_script import experiment_module, script_error
from farback.report.row_links import row_links
from farback.report.search_report import Searched, searched
from farback.report.sweep_report import Ladder, standard
from farback.system.atomic_files import aside
from farback.system.project import script_of
from farback.tables.outcomes import CHOICE

if TYPE_CHECKING:
    from farback.plots.series import Lines

# Defaults of template variables. `command` is the command that writes the page; `listed`: the index lists the page.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(("prediction", "refuted_by", "origins", "command", "config", "config_text"), ""),
        "made_with": {},
        "listed": True,
        "place": None,
    }
)


@dataclass(frozen=True)
class Subject:
    """The experiment that a page is about.

    Attributes:
        config: its path and options, as typed on a command line.
        origins: a note if its trials were made with different versions (`farback.report.provenance_note`).
        chosen: how lags and tuned settings were chosen; empty if the config lists all trials.
        roles: with chosen trials, the role ("choice" or "judged") and the tuned setting of trials, by key.
        missing: number of trials that must be trained before the claims are judged.
        chance: the score of a guess without memory.
        data: what the data are, if they are finite.
        made_with: versions and hardware of the trials, by name.
    """

    name: str
    question: str
    config: str
    keys: tuple[str, ...]
    ladder: Ladder
    root: Path
    folder: Path
    origins: str = ""
    chosen: str = ""
    roles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    missing: int = 0
    chance: str = ""
    data: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict)
    config_text: str = ""

    def scores(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of its trials in a store's frame, with the columns `role` and `tuned` if there are roles."""
        own = frame[frame["key"].isin(self.keys)]
        return tables.with_roles(own, self.roles)

    @property
    def script(self) -> Path:
        """The experiment's Python file; it need not exist."""
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
        """The first figure; None without a figure."""
        return next((path for path in self.files if path.suffix == ".png"), None)


def write(subject: Subject, frame: pd.DataFrame, keep: bool = False) -> Page:
    """Analyse the scores of a sweep and write its folder; trials that the config no longer has are left out.

    With `keep`, an earlier page of the same scores, made by the same code, is left as it is (`kept_page`).

    Raises:
        UserError: no trial of the experiment is recorded, or too few for its script, or the script raises an error.
    """
    own = subject.scores(frame)
    if own.empty:
        raise UserError(f"nothing is recorded for {subject.name} yet; train it with: farback run {subject.config}")
    if "role" in own and (own["role"] == CHOICE).all():
        message = f"settings of {subject.name} were tried, but no network is judged yet"
        raise UserError(f"{message}; train the rest with: farback run {subject.config}")
    digest = kept_page.digest(subject, own)
    if keep and (page := kept_page.kept(subject, digest)):
        return page
    script = experiment_module(subject.script)
    analyse: Callable[[pd.DataFrame, Ladder], Analysis] = standard if script is None else script.analyse
    status = own.groupby("key")["status"].first()
    counts = {"recorded": len(status), "total": len(subject.keys), "diverged": int((status == "diverged").sum())}
    try:
        analysis = analyse(own, subject.ladder)
    except Exception as error:
        if script is None or isinstance(error, UserError):
            raise
        if len(status) < len(subject.keys):  # scripts may need every trial
            raise UserError(
                f"only {len(status)} of {len(subject.keys)} trials of {subject.name} are recorded, and its script "
                f"needs more ({error}); train the rest with: farback run {subject.config}"
            ) from error
        advice = f"the trained networks are recorded; correct the script, then: farback report {subject.config}"
        raise script_error(subject.script, error, advice) from error
    if subject.claims:
        unjudged = not_run(subject.missing) if subject.missing else "not judged"
        table = claims_table(subject.claims, findings_of(subject, frame), unjudged)
        analysis = replace(analysis, parts=[*analysis.parts, table])
    page = publish(analysis, subject.folder, "trained.md.j2", _context(subject, script, "run") | counts)
    kept_page.keep(page, subject, digest)
    return page


def findings_of(subject: Subject, frame: pd.DataFrame) -> dict[str, Finding]:
    """The findings for an experiment's claims, by id; empty until every trial is recorded.

    Raises:
        UserError: its script does not answer exactly the claims of its config.
    """
    if subject.missing or not subject.claims:
        return {}
    own = subject.scores(frame)
    return judged(experiment_module(subject.script), subject.claims, own, subject.name)


def write_search(subject: Subject, results: Searched, configs: Mapping[str, str]) -> Page:
    """Analyse the results of a search and write its folder, with the best settings as configs (texts by file name).

    Raises:
        UserError: no setting was trained on fresh seeds yet, so that there is no result.
    """
    if results.fresh.empty:
        message = f"no setting of {subject.name} was trained on fresh seeds yet, and only those trainings are results"
        raise UserError(f"{message}; train them with: farback search {subject.config}")
    script = experiment_module(subject.script)
    analyse: Callable[[Searched], Analysis] = searched if script is None else script.analyse
    context = _context(subject, script, "search") | {"search": results, "configs": list(configs)}
    return publish(analyse(results), subject.folder, "searched.md.j2", context, configs)


def _context(subject: Subject, script: ModuleType | None, command: str) -> dict[str, Any]:
    """The variables of the templates; the index leaves out pages of a config that `--set` changed."""
    names = ("name", "question", "config", "origins", "chosen", "chance", "data", "made_with", "config_text")
    return {name: getattr(subject, name) for name in names} | {
        "prediction": getattr(script, "PREDICTION", ""),
        "refuted_by": getattr(script, "REFUTED_BY", ""),
        "command": f"farback {command} {subject.config}",
        "listed": subject.folder.name == subject.name and getattr(script, "LISTED", True),
        "place": getattr(script, "PLACE", None),
    }


def publish(
    analysis: Analysis,
    folder: Path,
    template: str,
    context: Mapping[str, Any],
    files: Mapping[str, str] = MappingProxyType({}),
) -> Page:
    """Write a page with its figures and numbers, and the index of all pages. A killed process leaves no partial file.

    Args:
        template: the Markdown template, in `templates/`, of the section on how the page was made.
        context: further variables of the template: name, question, and any of `DEFAULTS`.
        files: the contents of further text files of the page, by file name.
    """
    _check_names(analysis)
    folder.mkdir(parents=True, exist_ok=True)
    environment = Environment(
        loader=PackageLoader("farback.report"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    variables = {**DEFAULTS, **context, "analysis": analysis}
    variables["made"] = environment.get_template(template).render(**variables).strip()
    parts = _write_parts(analysis, folder)
    texts = {
        "report.md": environment.get_template("page.md.j2").render(**variables, markdown=markdown),
        index.PAGE: _html(variables, folder),
        **files,
    }
    for name, content in texts.items():
        with aside(folder / name) as file:
            file.write_text(content, encoding="utf-8", newline="\n")
    if index.is_indexed(folder) and variables["listed"]:
        index.write(folder.parent)
    paths = [folder / name for name in texts]
    return Page(analysis, paths[0], paths[1], [*paths, *parts], _note(variables, analysis))


def _check_names(analysis: Analysis) -> None:
    """Check that each part has files of its own in the page's folder.

    Raises:
        UserError: two parts of an experiment's script have one name, or a name is a path.
    """
    for name, count in Counter(part.name.lower() for part in analysis.parts).items():
        if count > 1:
            raise UserError(f"{count} figures or tables of the page are called {name!r}: each needs its own name")
        if Path(name).name != name:
            raise UserError(f"the name of a figure or table names its files and cannot be a path, got {name!r}")


def _html(variables: Mapping[str, Any], folder: Path) -> str:
    """The page for the browser: the first figure is at the top, everything else keeps its order."""
    from farback.plots import series  # matplotlib takes a second to import

    analysis: Analysis = variables["analysis"]
    lead = next(iter(analysis.figures), None)
    pictures = {
        part.name: svg.picture((folder / f"{part.name}.svg").read_text(encoding="utf-8")) for part in analysis.figures
    }
    outcomes = [outcome(line) for line in analysis.verdict]
    about = index.About(
        name=variables["name"],
        question=variables["question"],
        headline=analysis.headline,
        figure=lead.name if lead else "",
        alt=lead.alt if lead else "",
        coloured=lead is not None and pictures[lead.name].coloured,
        held=outcomes.count("held"),
        refuted=outcomes.count("refuted"),
        experiment=bool(variables["config"]),
        listed=variables["listed"],
        place=variables["place"],
    )
    drawn = {part.name: lines for part in analysis.figures if (lines := series.lines(part.drawing))}
    figure_of = {line.name: name for name, lines in reversed(drawn.items()) for line in lines.lines}
    own = {
        "about": about.model_dump(),
        "lead": lead,
        "rest": [part for part in analysis.parts if part is not lead],
        "pictures": pictures,
        "drawn": {name: _plain(lines) for name, lines in drawn.items()},
        "links": {part.name: row_links(part.shown, figure_of) for part in analysis.tables},
        "indexed": index.is_indexed(folder) and about.listed,
    }
    return html.page("report.html.j2", {**variables, **own})


def _plain(lines: Lines) -> dict[str, Any]:
    """The lines of a figure as JSON has them."""
    parts = {"lines": [line._asdict() for line in lines.lines], "entries": [one._asdict() for one in lines.entries]}
    return {**lines._asdict(), **parts}


def _write_parts(analysis: Analysis, folder: Path) -> list[Path]:
    """Write the CSV file of every part, the Parquet files of tables, and the figures; returns the paths."""
    from farback.plots import save  # matplotlib takes a second to import

    written = []
    for part in analysis.parts:
        csv = folder / f"{part.name}.csv"
        tables.write_csv(part.frame, csv)
        written.append(csv)
        if isinstance(part, Figure):
            written += save(part.drawing, folder / part.name)
        elif part.parquet:
            written.append(folder / f"{part.name}.parquet")
            tables.write_parquet(part.frame, written[-1])
    return written


def _note(variables: Mapping[str, Any], analysis: Analysis) -> str:
    """The summary for MLflow: the headline, its table, the verdict, and a note if trials differ in versions."""
    table = markdown(analysis.tables[0].shown) if analysis.tables else ""
    verdict = "\n".join(f"- {line}" for line in analysis.verdict)
    origins = f"\n{variables['origins']}\n" if variables["origins"] else ""
    return f"**{variables['question'] or variables['name']}**\n\n{analysis.headline}\n\n{table}\n\n{verdict}\n{origins}"
