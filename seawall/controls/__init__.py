"""Controls: pure decisions of mode controller, intake, treasury and settler.

No I/O, no clock, no randomness; everything is passed in.
"""
