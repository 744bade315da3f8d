"""The sandbox: every part that a drill needs, on one machine, started and ended by a supervisor."""
