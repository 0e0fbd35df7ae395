"""Judging single items: what is wrong with an item, and holding it."""
