"""How long the kit takes and how much memory it needs.

Measured in one run, against limits and against the machine's own speed. No drill depends on it.
"""
