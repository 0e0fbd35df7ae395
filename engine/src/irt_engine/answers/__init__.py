"""The answers that a calibration uses: read, numbered, and freed of those that cannot take part."""
