"""Adapters: how the kit reads the records of a venue, each by the name a deployment file gives."""
