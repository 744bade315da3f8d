"""Controls: pure decisions of guard, intake, treasury and settler.

No I/O, no clock, no randomness; everything is passed in.
"""
