"""Programs to read, run and take from."""
