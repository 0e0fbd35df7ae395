"""The observed information, its inverse, and the estimates with their standard errors."""
