"""Entries of the provider's table, one module per AWS service; ``registry`` lists them all."""
