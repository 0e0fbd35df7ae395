"""The names that a request chooses from."""

from __future__ import annotations

from typing import Literal, get_args

Model = Literal["Rasch", "1PL", "2PL", "3PL"]
LinkingMethod = Literal["stocking_lord", "haebara", "mean_sigma", "mean_mean", "fixed", "none"]
Score = Literal["EAP", "MAP", "WLE"]
# What becomes of repeated answers of a user to an item.
Repeats = Literal["refuse", "first", "last"]
# Of the latent distribution.
Shape = Literal["normal", "davidian", "histogram"]
Unlinked = Literal["exclude", "same_population"]

MODELS, LINKING_METHODS, SCORES, UNLINKED = (get_args(each) for each in (Model, LinkingMethod, Score, Unlinked))
REFUSE, FIRST, LAST = REPEATS = get_args(Repeats)
NORMAL, DAVIDIAN, HISTOGRAM = SHAPES = get_args(Shape)
