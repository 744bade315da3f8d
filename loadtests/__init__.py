"""Withdrawal floods: a real bank run as data, scaled to a policy, and sent on schedule by Locust.

In: a policy, a shock profile, a seed. Out: ``customers.csv``, ``arrivals.csv`` and
``planned_reads.csv`` (the plan), then ``requests.csv``, ``reads.csv`` and ``flood.json`` (what was
sent, what was answered, and when). The load is open: a slow venue does not slow it down, and
latency counts from the planned instant.
"""
