"""Drills: the game day, and drills of one control.

In: a policy and a seed, or a running deployment. Out: a run directory with its verdict.
"""
