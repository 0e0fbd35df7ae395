"""Compiled loops over answers, items and nodes. Pure functions of arrays; every shape is in the docstring.

Symbols: N persons, J items, Q nodes (padded to a multiple of `LANES`), G groups of persons.
An answer is coded `2 * item + is_correct`.
"""
