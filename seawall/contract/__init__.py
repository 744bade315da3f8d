"""The drill contract: the few operations and names that drills use of a venue, and the client that speaks them."""
