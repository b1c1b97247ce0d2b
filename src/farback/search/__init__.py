"""Searches: Optuna proposes settings, the runner trains them, and the best of each group is reported on fresh seeds.

The only package that imports optuna.
"""

from farback.search.history import history
from farback.search.winners import Winner, winners

__all__ = ["Winner", "history", "winners"]
