"""What is written in MLflow's pages: the description of an experiment, and the note of its summary run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from farback.stores.views import View, written

NOTE = "mlflow.note.content"
SUMMARY, ASKED, CONFIG = "farback.summary", "farback.question", "farback.config"
LONGEST_CONFIG = 4000  # characters in the description: a tag must fit into 5000 on every database
LONGEST_NOTE = 4900  # characters, for the same reason


def describe(client: Any, experiment_id: str, question: str = "", config_text: str = "", summary: str = "") -> None:
    """Write an experiment's description. What is not given stays as it was.

    Args:
        client: an MLflow client.
        experiment_id: MLflow's.
        question: what the experiment asks.
        config_text: the YAML behind it.
        summary: the id of the summary run.
    """
    old = client.get_experiment(experiment_id).tags
    new = {ASKED: question, CONFIG: config_text[:LONGEST_CONFIG], SUMMARY: summary}
    said = {name: text or old.get(name, "") for name, text in new.items()}
    parts = [said[ASKED]]
    links = [f"[{view.name}]({link('', experiment_id, view).lstrip('/')})" for view in written(old)]
    if said[SUMMARY]:
        summary_page = page("", experiment_id, said[SUMMARY]).lstrip("/")
        links.insert(0, f"[Summary: figures, horizons and the report]({summary_page})")
    parts.append(" · ".join(links))
    if said[CONFIG] and len(config_text) <= LONGEST_CONFIG:
        parts.append(f"```yaml\n{said[CONFIG].strip()}\n```")
    said[NOTE] = "\n\n".join(part for part in parts if part)
    for name, text in said.items():
        if text != old.get(name, ""):
            client.set_experiment_tag(experiment_id, name, text)


def summary(text: str, run_id: str, files: Sequence[Path]) -> str:
    """The note of a summary run: the text, then the first figure.

    MLflow's page knows no image of a run's own; it shows what the address of an artifact answers. The address is
    relative, so that it is right wherever the server stands.

    Args:
        text: Markdown.
        run_id: of the summary run, which has the files as artifacts.
        files: those of the report; the first PNG is the headline figure.
    """
    figure = next((path.name for path in files if path.suffix == ".png"), None)
    if figure is None:
        return text
    shown = f"![{Path(figure).stem}](get-artifact?{urlencode({'path': figure, 'run_uuid': run_id})})"
    whole = f"{text.rstrip()}\n\n{shown}\n"
    return whole if len(whole) <= LONGEST_NOTE else text


def link(base_url: str, experiment_id: str, view: View) -> str:
    """The address of a saved view."""
    mode = "CHART" if view.chart else "TABLE"
    return f"{page(base_url, experiment_id)}&viewStateShareKey={view.id}&compareRunsMode={mode}"


def page(base_url: str, experiment_id: str, run_id: str = "") -> str:
    """The address of an experiment's runs, or of one. Without `workflowType` MLflow shows pages for language models."""
    runs = f"#/experiments/{experiment_id}/runs" + (f"/{run_id}" if run_id else "")
    return f"{base_url.rstrip('/')}/{runs}?workflowType=machine_learning"
