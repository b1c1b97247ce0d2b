"""Frozen records, components named by their files, plug-ins of other packages, and claims."""
