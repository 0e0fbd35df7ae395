"""Tests that every calibration service must pass; `./irt conformance URL` runs them."""
