"""Reports turn a data frame of scores into a folder below `results/`."""

from farback.report.analysis import Analysis, Figure, Table, held
from farback.report.claim_verdicts import Finding
from farback.report.conditions import conditions
from farback.report.evidence import Evidence, above, all_of, any_of, at_least, at_most, below, exact, tested
from farback.report.group_columns import groups
from farback.report.horizon_metrics import metrics
from farback.report.horizon_texts import listed
from farback.report.search_report import Searched, searched
from farback.report.search_tables import ReportedObjective
from farback.report.sweep_report import Ladder, retained, sized, standard, trained

__all__ = [
    "Analysis",
    "Evidence",
    "Figure",
    "Finding",
    "Ladder",
    "ReportedObjective",
    "Searched",
    "Table",
    "above",
    "all_of",
    "any_of",
    "at_least",
    "at_most",
    "below",
    "conditions",
    "exact",
    "groups",
    "held",
    "listed",
    "metrics",
    "retained",
    "searched",
    "sized",
    "standard",
    "tested",
    "trained",
]
