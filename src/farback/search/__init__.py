"""Searches: Optuna proposes settings, the runner trains them, and the best of each group is reported on fresh seeds.

The only package that imports optuna.
"""

from farback.search.frames import history
from farback.search.searching import Found, search
from farback.search.winning import Winner, winners

__all__ = ["Found", "Winner", "history", "search", "winners"]
