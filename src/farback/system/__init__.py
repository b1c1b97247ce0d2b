"""Handles devices, processes, files, random streams and the provenance of results."""
