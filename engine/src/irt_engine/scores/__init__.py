"""Abilities of persons, and the fit of items."""
