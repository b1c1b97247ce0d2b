"""Searches: Optuna proposes settings, the runner trains them, and the best of each group is reported on fresh seeds.

The only package that imports optuna.
"""

from farback.runs.search.api import Found, search
from farback.runs.search.history import history
from farback.runs.search.winners import Winner, winners

__all__ = ["Found", "Winner", "history", "search", "winners"]
