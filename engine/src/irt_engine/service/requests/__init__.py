"""Reading a request: its media types, its parts, and its answers."""
