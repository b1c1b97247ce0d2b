"""A check of a measured number against a known one."""

from __future__ import annotations

from dataclasses import dataclass

ROUNDING = 1e-9


@dataclass(frozen=True)
class Check:
    """A known number, the value measured by a public function, and the largest allowed difference of the two."""

    system: str
    measure: str  # name of the public function
    quantity: str  # with its closed form
    expected: float
    measured: float
    tolerance: float = ROUNDING

    @property
    def error(self) -> float:
        """Measured minus expected; 0 if both are the same infinity."""
        return 0.0 if self.measured == self.expected else self.measured - self.expected

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance; False for nan."""
        return abs(self.error) <= self.tolerance
