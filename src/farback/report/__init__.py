"""Reports: from tidy scores to a folder under `results/`."""

from farback.report.analysis import Analysis, Figure, Table, held
from farback.report.search_report import Searched, searched
from farback.report.search_tables import Objective
from farback.report.sweep_report import groups, listed, metrics, retained, sized, standard, trained
from farback.report.verdicts import Finding

__all__ = [
    "Analysis",
    "Figure",
    "Finding",
    "Objective",
    "Searched",
    "Table",
    "groups",
    "held",
    "listed",
    "metrics",
    "retained",
    "searched",
    "sized",
    "standard",
    "trained",
]
