"""Defines frozen records, components named after their files, plug-ins of other packages, and claims."""
