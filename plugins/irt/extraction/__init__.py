"""Extraction: attempts are streamed from PostgreSQL into buckets of users, from which responses are made and staged."""
