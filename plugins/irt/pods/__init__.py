"""Calibrations in Kubernetes pods of their own."""
