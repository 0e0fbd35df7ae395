"""Calibrations in Kubernetes pods, one for each."""
