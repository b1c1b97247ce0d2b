"""Systems with known memory, and checks that each measure gives the known value."""

from farback.measures.known.cases import CASES, Check, check_all

__all__ = ["CASES", "Check", "check_all"]
