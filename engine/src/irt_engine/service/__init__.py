"""`irt-engine serve`: calibration and scoring over HTTP, as `contract/openapi.yaml` says."""
