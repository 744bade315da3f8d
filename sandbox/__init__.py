"""The sandbox: every part that a drill needs, real, on one machine.

One supervisor owns them all.
"""
