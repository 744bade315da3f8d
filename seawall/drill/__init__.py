"""The game day: bring the stage up, apply the shock, gather what happened, and hand it to the
scorecard.

In: a policy, a seed. Out: a run directory with a verdict.
"""
