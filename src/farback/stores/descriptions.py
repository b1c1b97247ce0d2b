"""The texts in MLflow's pages: an experiment's description, the note of its summary run, and links."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from farback.stores.views import View, existing

NOTE = "mlflow.note.content"
SUMMARY, QUESTION, CONFIG = "farback.summary", "farback.question", "farback.config"
CONFIG_CHARACTERS = 4000  # in the description: a tag must fit into 5000 on every database
NOTE_CHARACTERS = 4900  # a note is a tag, too


def describe(client: Any, experiment_id: str, question: str = "", config_text: str = "", summary: str = "") -> None:
    """Write an experiment's description; `summary` is a run's id. Empty arguments keep the earlier text."""
    old = client.get_experiment(experiment_id).tags
    new = {QUESTION: question, CONFIG: config_text[:CONFIG_CHARACTERS], SUMMARY: summary}
    tags = {name: text or old.get(name, "") for name, text in new.items()}
    links = [f"[{view.name}]({link('', experiment_id, view).lstrip('/')})" for view in existing(old)]
    if tags[SUMMARY]:
        summary_page = page("", experiment_id, tags[SUMMARY]).lstrip("/")
        links.insert(0, f"[Summary: figures, horizons and the report]({summary_page})")
    parts = [tags[QUESTION], " · ".join(links)]
    if tags[CONFIG] and len(config_text) <= CONFIG_CHARACTERS:
        parts.append(f"```yaml\n{tags[CONFIG].strip()}\n```")
    tags[NOTE] = "\n\n".join(part for part in parts if part)
    for name, text in tags.items():
        if text != old.get(name, ""):
            client.set_experiment_tag(experiment_id, name, text)


def summary(text: str, run_id: str, files: Sequence[Path]) -> str:
    """The note of a summary run, in Markdown: the text, then the first PNG among its files.

    The figure's address is relative, so that it works on every server; MLflow answers it with the artifact.
    """
    figure = next((path.name for path in files if path.suffix == ".png"), None)
    if figure is None:
        return text
    image = f"![{Path(figure).stem}](get-artifact?{urlencode({'path': figure, 'run_uuid': run_id})})"
    note = f"{text.rstrip()}\n\n{image}\n"
    return note if len(note) <= NOTE_CHARACTERS else text


def link(base_url: str, experiment_id: str, view: View) -> str:
    """The address of a saved view."""
    mode = "CHART" if view.chart else "TABLE"
    return f"{page(base_url, experiment_id)}&viewStateShareKey={view.id}&compareRunsMode={mode}"


def page(base_url: str, experiment_id: str, run_id: str = "") -> str:
    """The address of an experiment's runs, or of one run. `workflowType` avoids MLflow's pages for LLMs."""
    runs = f"#/experiments/{experiment_id}/runs" + (f"/{run_id}" if run_id else "")
    return f"{base_url.rstrip('/')}/{runs}?workflowType=machine_learning"
