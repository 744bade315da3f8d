"""The command line: a human view by default, ``--json`` for machines, and fixed exit codes."""
