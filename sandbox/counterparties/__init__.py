"""Firms that the venue deals with, each a process of its own with state of its own."""
