"""Searches: Optuna proposes settings, farback trains them, and the best of each group is reported on fresh seeds.

This is the only package that imports optuna, beside `farback.stores.studies`.
"""

from farback.runs.search.api import Found, search
from farback.runs.search.optuna_history import history
from farback.runs.search.winners import Winner, winners

__all__ = ["Found", "Winner", "history", "search", "winners"]
