"""Devices, processors, processes, files, random streams and provenance."""
