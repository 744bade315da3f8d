"""Genesis: an empty database becomes a venue with roles, lanes, customers and balanced books."""
