"""Addresses in MLflow's pages."""

from __future__ import annotations

from farback.stores.views import View


def link(base_url: str, experiment_id: str, view: View) -> str:
    """The address of a saved view."""
    mode = "CHART" if view.chart else "TABLE"
    return f"{page(base_url, experiment_id)}&viewStateShareKey={view.id}&compareRunsMode={mode}"


def page(base_url: str, experiment_id: str, run_id: str = "") -> str:
    """The address of an experiment's runs, or of one. Without `workflowType` MLflow shows pages for language models."""
    runs = f"#/experiments/{experiment_id}/runs" + (f"/{run_id}" if run_id else "")
    return f"{base_url.rstrip('/')}/{runs}?workflowType=machine_learning"
