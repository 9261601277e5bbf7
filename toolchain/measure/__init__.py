"""Numbers out of raw samples."""
