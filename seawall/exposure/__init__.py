"""The exposure map of a running stack, and for people: what is read, the table, JSON, the page.

The map itself is :mod:`seawall.feasibility.exposure`.
"""
