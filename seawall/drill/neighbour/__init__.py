"""Drills of one control each, on a running stage and without a game day.

Does it hold, and does its drill fail without it?

In: a policy, a sandbox (a kept one or one of its own). Out: findings, one verdict, and a file with
everything that it rests on.
"""
