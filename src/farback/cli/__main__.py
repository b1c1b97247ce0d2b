"""Runs `python -m farback.cli`."""

from farback.cli import main

main()
