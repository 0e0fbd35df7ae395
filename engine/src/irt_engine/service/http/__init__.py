"""HTTP: the server, the routes, and access control."""
