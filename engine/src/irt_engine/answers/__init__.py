"""The answers that a calibration uses: read, numbered, and filtered."""
