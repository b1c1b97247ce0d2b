"""Code shared by several cells."""
