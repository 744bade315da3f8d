"""Withdrawal floods: a real run on the bank as data, scaled to a policy, and sent on schedule
however slow the venue is.

In: a policy, a shock profile, a seed. Out: ``customers.csv`` and ``arrivals.csv`` (the plan), then
``requests.csv`` and ``flood.json`` (what was sent, what was answered, and when, counted from the
planned instant).
"""
