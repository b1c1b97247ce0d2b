"""The machine: devices, processors, processes, files, random streams, provenance."""
