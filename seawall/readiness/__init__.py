"""Readiness: which required drills have passed, how recently, and what their runs show over time.

In: a policy and a folder of runs. Out: one row for each requirement, and the figures that runs
hold. ``model`` decides and is pure; ``history`` reads runs; ``views`` says it to people and
machines.
"""
