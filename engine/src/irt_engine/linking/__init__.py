"""Linking constants from anchors, and the anchors that have drifted."""
