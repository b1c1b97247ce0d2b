"""Executors: where cohorts run."""

from farback.executors.base import Executor
from farback.executors.pool import Pool
from farback.executors.serial import Serial

__all__ = ["Executor", "Pool", "Serial"]
