"""The demo's data: two banks, and how they get into a database."""
