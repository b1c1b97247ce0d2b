"""What everything is made of: frozen records, components named by their files, plug-ins of other packages, claims."""
