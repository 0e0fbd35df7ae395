"""What reads a request: its media types, its parts, and the answers in it."""
