"""What speaks HTTP: the server, the routes, and who may ask."""
