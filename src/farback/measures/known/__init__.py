"""Systems with known memory and simulated success curves, and checks of measures and statistics on them."""

from farback.measures.known.cases import CASES, check_all
from farback.measures.known.check import Check
from farback.measures.known.forgetting import check_diagnosis
from farback.measures.known.success_curves import check_statistics

__all__ = ["CASES", "Check", "check_all", "check_diagnosis", "check_statistics"]
