"""What cells share."""
