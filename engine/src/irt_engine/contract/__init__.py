"""What a request may say, and what its fields are checked against."""
