"""The command line: a human view by default, ``--json`` for machines, and exit codes that mean one
thing each.
"""
