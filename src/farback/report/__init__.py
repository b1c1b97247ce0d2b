"""Reports: from tidy scores to a folder under `results/`."""

from farback.report.analysis import Analysis, Figure, Table, held
from farback.report.findings import Finding
from farback.report.searched import Objective, Searched, searched
from farback.report.standard import groups, listed, metrics, retained, sized, standard, trained

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
