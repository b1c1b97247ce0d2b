"""Systems whose memory is known, and what each measure must say of them: the ruler's own ruler."""

from farback.measures.known.cases import CASES, Check, Ruler, check_all

__all__ = ["CASES", "Check", "Ruler", "check_all"]
