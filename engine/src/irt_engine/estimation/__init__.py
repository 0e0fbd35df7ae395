"""Marginal maximum likelihood: the objective, and the EM and quasi-Newton steps that maximise it."""
