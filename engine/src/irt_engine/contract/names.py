"""The names that a request chooses from."""

from __future__ import annotations

MODELS = ("Rasch", "1PL", "2PL", "3PL")
LINKING_METHODS = ("stocking_lord", "haebara", "mean_sigma", "mean_mean", "fixed", "none")
SCORES = ("EAP", "MAP", "WLE")
# What becomes of repeated answers of a user to an item.
REFUSE, FIRST, LAST = REPEATS = ("refuse", "first", "last")
# Shapes of the latent distribution.
NORMAL, DAVIDIAN, HISTOGRAM = SHAPES = ("normal", "davidian", "histogram")
UNLINKED = ("exclude", "same_population")
