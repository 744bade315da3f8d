"""How long the kit takes and what it needs, measured in one run against limits and against the
machine's own speed; never in the way of a drill.
"""
