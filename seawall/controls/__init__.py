"""Controls: the pure decisions of the mode controller, intake, treasury, signer and settler.

No I/O, no clock, no randomness; every input is an argument.
"""
